//! The laws, on this transport, both ways.

chat_core::conformance_tests!(ws_server::WsServer);

mod plain {
    chat_core::conformance_tests!(chat_core::client::Plain<ws_server::WsServer>);
}
