//! The laws, on this transport, both ways.

laws::conformance_tests!(sse_server::SseServer);

mod plain {
    laws::conformance_tests!(chat_http::Plain<sse_server::SseServer>);
}
