//! The laws, without a wire.

laws::conformance_tests!(chat_http::memory::MemoryServer);
