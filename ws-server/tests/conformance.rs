//! The laws, on this transport, both ways.

laws::conformance_tests!(ws_server::WsServer);

mod plain {
    laws::conformance_tests!(chat_http::Plain<ws_server::WsServer>);
}
