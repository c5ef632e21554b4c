//! The laws, on this transport, both ways.

chat_core::conformance_tests!(ndjson_server::NdjsonServer);

mod plain {
    chat_core::conformance_tests!(chat_core::client::Plain<ndjson_server::NdjsonServer>);
}
