//! The laws, on this transport, both ways, with patience and without.

mod longpoll {
    chat_core::conformance_tests!(longpoll_server::LongPollServer);
}

mod shortpoll {
    chat_core::conformance_tests!(longpoll_server::ShortPollServer);
}

mod plain_longpoll {
    chat_core::conformance_tests!(chat_core::client::Plain<longpoll_server::LongPollServer>);
}

mod plain_shortpoll {
    chat_core::conformance_tests!(chat_core::client::Plain<longpoll_server::ShortPollServer>);
}
