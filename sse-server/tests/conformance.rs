//! The laws, on this wire.

chat_core::conformance_tests!(sse_server::SseServer);
