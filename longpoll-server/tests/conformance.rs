//! The laws, on this wire, with patience and without.

mod longpoll {
    chat_core::conformance_tests!(longpoll_server::LongPollServer);
}

mod shortpoll {
    chat_core::conformance_tests!(longpoll_server::ShortPollServer);
}
