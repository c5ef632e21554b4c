//! The laws, on this wire.

chat_core::conformance_tests!(ws_server::WsServer);
