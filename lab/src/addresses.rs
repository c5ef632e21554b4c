//! Where each server listens: one flag for each program of the list.

use std::net::SocketAddr;

use chat_http::run::Program;
use chat_http::settings::listen_address;
use clap::error::Error;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::PAGE;

/// The servers to start, and where each listens: first the page.
#[derive(Debug)]
pub(crate) struct Addresses(pub(crate) Vec<(&'static Program, SocketAddr)>);

fn programs() -> impl Iterator<Item = &'static Program> {
    std::iter::once(&PAGE).chain(transports::programs())
}

fn flag(program: &'static Program) -> Arg {
    let titles: Vec<&str> = program.profiles.iter().map(|profile| profile.title).collect();
    let titles = titles.join(" and ");
    let (help, is_started) = match (titles.is_empty(), transports::is_started(program)) {
        (true, _) => ("Where the page is".to_owned(), true),
        (false, true) => (format!("Where the server for {titles} listens"), true),
        (false, false) => (format!("Start the server for {titles}, too; it listens here"), false),
    };
    Arg::new(program.flag)
        .long(program.flag)
        .env(program.variable())
        .value_name("ADDRESS:PORT")
        .value_parser(listen_address)
        .default_values(is_started.then_some(program.listen))
        .help(help)
}

impl Args for Addresses {
    fn augment_args(command: Command) -> Command {
        command.args(programs().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Addresses {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |program: &'static Program| Some((program, *matches.get_one(program.flag)?));
        Ok(Self(programs().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
