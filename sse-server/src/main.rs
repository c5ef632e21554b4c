//! The chat over one kind of wire, as a program of its own.

use std::process::ExitCode;

use chat_http::Server;
use chat_http::run::Program;
use sse_server::SseServer;

fn main() -> ExitCode {
    let program = Program {
        name: "sse-server",
        about: "The chat over Server-Sent Events: one response that never ends; requests are posted.",
        listen: "127.0.0.1:4002",
        database: "sse-server.db",
        transports: &[SseServer::NAME],
        pages: web_client::router,
    };
    program.run::<SseServer>()
}
