//! The laws, on this transport, both ways.

laws::conformance_tests!(ndjson_server::NdjsonServer);

mod plain {
    laws::conformance_tests!(chat_http::Plain<ndjson_server::NdjsonServer>);
}
