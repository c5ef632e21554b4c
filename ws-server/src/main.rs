//! The chat over one kind of wire, as a program of its own.

use std::process::ExitCode;

use chat_http::Server;
use chat_http::run::Program;
use ws_server::WsServer;

fn main() -> ExitCode {
    let program = Program {
        name: "ws-server",
        about: "The chat over WebSocket: one connection, both directions, for as long as either end likes.",
        listen: "127.0.0.1:4001",
        database: "ws-server.db",
        transports: &[WsServer::NAME],
        pages: web_client::router,
    };
    program.run::<WsServer>()
}
