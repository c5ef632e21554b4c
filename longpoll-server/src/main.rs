//! The chat over one kind of wire, as a program of its own.

use std::process::ExitCode;

use chat_http::Server;
use chat_http::run::Program;
use longpoll_server::{LongPollServer, ShortPollServer};

fn main() -> ExitCode {
    let program = Program {
        name: "longpoll-server",
        about: "The chat over long polling (a request is held until there is news) and short polling (wait=0).",
        listen: "127.0.0.1:4003",
        database: "longpoll-server.db",
        transports: &[LongPollServer::NAME, ShortPollServer::NAME],
        pages: web_client::router,
    };
    program.run::<LongPollServer>()
}
