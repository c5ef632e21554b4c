//! The server as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    ndjson_server::PROGRAM.run(web_client::router)
}
