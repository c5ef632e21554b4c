//! The laws, without a wire.

chat_core::conformance_tests!(chat_core::memory::MemoryServer);
