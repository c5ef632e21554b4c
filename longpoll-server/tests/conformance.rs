//! The laws, on long polling and on short polling, both ways.

mod longpoll {
    laws::conformance_tests!(longpoll_server::LongPollServer);
}

mod shortpoll {
    laws::conformance_tests!(longpoll_server::ShortPollServer);
}

mod plain_longpoll {
    laws::conformance_tests!(chat_http::Plain<longpoll_server::LongPollServer>);
}

mod plain_shortpoll {
    laws::conformance_tests!(chat_http::Plain<longpoll_server::ShortPollServer>);
}
