//! The laws, on this transport, both ways.

chat_core::conformance_tests!(sse_server::SseServer);

mod plain {
    chat_core::conformance_tests!(chat_core::client::Plain<sse_server::SseServer>);
}
