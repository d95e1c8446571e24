//! The peer's names of what is unusual in HTTP/1, by the library's codes.

use ips_htp::{Auth, Code, Flags, Method, Protocol, Tx};

/// The name; none for what the peer has no event for.
pub(super) fn name(code: Code) -> Option<&'static str> {
    use Code as C;
    Some(match code {
        C::GZIP_DECOMPRESSION_FAILED => "http.gzip_decompression_failed",
        C::REQUEST_FIELD_MISSING_COLON => "http.request_field_missing_colon",
        C::RESPONSE_FIELD_MISSING_COLON => "http.response_field_missing_colon",
        C::INVALID_REQUEST_CHUNK_LEN => "http.invalid_request_chunk_len",
        C::INVALID_RESPONSE_CHUNK_LEN => "http.invalid_response_chunk_len",
        C::REQUEST_CHUNK_EXTENSION => "http.request_chunk_extension",
        C::RESPONSE_CHUNK_EXTENSION => "http.response_chunk_extension",
        C::REQUEST_TOO_MANY_HEADERS => "http.request_too_many_headers",
        C::RESPONSE_TOO_MANY_HEADERS => "http.response_too_many_headers",
        C::INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST => "http.invalid_transfer_encoding_value_in_request",
        C::INVALID_TRANSFER_ENCODING_VALUE_IN_RESPONSE => "http.invalid_transfer_encoding_value_in_response",
        C::INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST => "http.invalid_content_length_field_in_request",
        C::INVALID_CONTENT_LENGTH_FIELD_IN_RESPONSE => "http.invalid_content_length_field_in_response",
        C::DUPLICATE_CONTENT_LENGTH_FIELD_IN_REQUEST => "http.duplicate_content_length_field_in_request",
        C::DUPLICATE_CONTENT_LENGTH_FIELD_IN_RESPONSE => "http.duplicate_content_length_field_in_response",
        C::CONTINUE_ALREADY_SEEN => "http.100_continue_already_seen",
        C::UNABLE_TO_MATCH_RESPONSE_TO_REQUEST => "http.unable_to_match_response_to_request",
        C::INVALID_SERVER_PORT_IN_REQUEST => "http.invalid_server_port_in_request",
        C::INVALID_AUTHORITY_PORT => "http.invalid_authority_port",
        C::REQUEST_HEADER_INVALID => "http.request_header_invalid",
        C::RESPONSE_HEADER_INVALID => "http.response_header_invalid",
        C::MISSING_HOST_HEADER => "http.missing_host_header",
        C::HOST_HEADER_AMBIGUOUS => "http.host_header_ambiguous",
        C::INVALID_REQUEST_FIELD_FOLDING => "http.invalid_request_field_folding",
        C::INVALID_RESPONSE_FIELD_FOLDING => "http.invalid_response_field_folding",
        C::REQUEST_FIELD_TOO_LONG => "http.request_field_too_long",
        C::RESPONSE_FIELD_TOO_LONG => "http.response_field_too_long",
        C::REQUEST_LINE_INVALID => "http.request_line_invalid",
        C::REQUEST_BODY_UNEXPECTED => "http.request_body_unexpected",
        C::RESPONSE_BODY_UNEXPECTED => "http.response_body_unexpected",
        C::REQUEST_SERVER_PORT_TCP_PORT_MISMATCH => "http.request_server_port_tcp_port_mismatch",
        C::URI_HOST_INVALID => "http.uri_host_invalid",
        C::HEADER_HOST_INVALID => "http.request_header_host_invalid",
        C::AUTH_UNRECOGNIZED => "http.request_auth_unrecognized",
        C::REQUEST_HEADER_REPETITION => "http.request_header_repetition",
        C::RESPONSE_HEADER_REPETITION => "http.response_header_repetition",
        C::DOUBLE_ENCODED_URI => "http.double_encoded_uri",
        C::METHOD_DELIM_NON_COMPLIANT => "http.method_delim_non_compliant",
        C::URI_DELIM_NON_COMPLIANT => "http.uri_delim_non_compliant",
        C::REQUEST_LINE_LEADING_WHITESPACE => "http.request_line_leading_whitespace",
        C::TOO_MANY_ENCODING_LAYERS => "http.too_many_encoding_layers",
        C::REQUEST_TOO_MANY_LZMA_LAYERS => "http.request_too_many_lzma_layers",
        C::RESPONSE_TOO_MANY_LZMA_LAYERS => "http.response_too_many_lzma_layers",
        C::ABNORMAL_CE_HEADER => "http.abnormal_ce_header",
        C::RESPONSE_MULTIPART_BYTERANGES => "http.response_multipart_byteranges",
        C::RESPONSE_ABNORMAL_TRANSFER_ENCODING => "http.response_abnormal_transfer_encoding",
        C::RESPONSE_CHUNKED_OLD_PROTO => "http.response_chunked_old_proto",
        C::RESPONSE_INVALID_PROTOCOL => "http.response_invalid_protocol",
        C::RESPONSE_INVALID_STATUS => "http.response_invalid_status",
        C::REQUEST_LINE_INCOMPLETE => "http.request_line_incomplete",
        C::PROTOCOL_CONTAINS_EXTRA_DATA => "http.protocol_contains_extra_data",
        C::CONTENT_LENGTH_EXTRA_DATA_START => "http.content_length_extra_data_start",
        C::CONTENT_LENGTH_EXTRA_DATA_END => "http.content_length_extra_data_end",
        C::SWITCHING_PROTO_WITH_CONTENT_LENGTH => "http.switching_proto_with_content_length",
        C::DEFORMED_EOL => "http.deformed_eol",
        C::PARSER_STATE_ERROR => "http.parser_state_error",
        C::MISSING_OUTBOUND_TRANSACTION_DATA => "http.missing_outbound_transaction_data",
        C::MISSING_INBOUND_TRANSACTION_DATA => "http.missing_inbound_transaction_data",
        C::ZERO_LENGTH_DATA_CHUNKS => "http.zero_length_data_chunks",
        C::REQUEST_LINE_UNKNOWN_METHOD => "http.request_line_unknown_method",
        C::REQUEST_LINE_UNKNOWN_METHOD_NO_PROTOCOL => "http.request_line_unknown_method_no_protocol",
        C::REQUEST_LINE_UNKNOWN_METHOD_INVALID_PROTOCOL => "http.request_line_unknown_method_invalid_protocol",
        C::REQUEST_LINE_NO_PROTOCOL => "http.request_line_missing_protocol",
        C::RESPONSE_LINE_INVALID_PROTOCOL => "http.response_line_invalid_protocol",
        C::RESPONSE_LINE_INVALID_RESPONSE_STATUS => "http.response_line_invalid_response_status",
        C::RESPONSE_BODY_INTERNAL_ERROR => "http.response_body_internal_error",
        C::REQUEST_BODY_DATA_CALLBACK_ERROR => "http.request_body_data_callback_error",
        C::RESPONSE_INVALID_EMPTY_NAME => "http.response_invalid_empty_name",
        C::REQUEST_INVALID_EMPTY_NAME => "http.request_invalid_empty_name",
        C::RESPONSE_INVALID_LWS_AFTER_NAME => "http.response_invalid_lws_after_name",
        C::RESPONSE_HEADER_NAME_NOT_TOKEN => "http.response_header_name_not_token",
        C::REQUEST_INVALID_LWS_AFTER_NAME => "http.request_invalid_lws_after_name",
        C::LZMA_DECOMPRESSION_DISABLED => "http.lzma_decompression_disabled",
        C::CONNECTION_ALREADY_OPEN => "http.connection_already_open",
        C::LZMA_MEMLIMIT_REACHED => "http.lzma_memlimit_reached",
        C::COMPRESSION_BOMB => "http.compression_bomb",
        C::COMPRESSION_BOMB_LIMIT_REACHED => "http.compression_bomb",
        C::COMPRESSION_BOMB_DOUBLE_LZMA => "http.compression_bomb_double_lzma",
        C::INVALID_CONTENT_ENCODING => "http.invalid_content_encoding",
        C::INVALID_GAP => "http.invalid_gap",
        C::UNKNOWN | C::ERROR => return None,
    })
}

/// What a whole request shows that the library only flags.
pub(super) fn flagged(tx: &Tx<'_>, mut event: impl FnMut(&'static str)) {
    let flags = tx.flags();
    let pairs = [
        (Flags::REQUEST_INVALID_T_E, Code::INVALID_TRANSFER_ENCODING_VALUE_IN_REQUEST),
        (Flags::REQUEST_INVALID_C_L, Code::INVALID_CONTENT_LENGTH_FIELD_IN_REQUEST),
        (Flags::HOST_MISSING, Code::MISSING_HOST_HEADER),
        (Flags::HOST_AMBIGUOUS, Code::HOST_HEADER_AMBIGUOUS),
        (Flags::HOSTU_INVALID, Code::URI_HOST_INVALID),
        (Flags::HOSTH_INVALID, Code::HEADER_HOST_INVALID),
    ];
    for (flag, code) in pairs {
        if flags & flag == flag {
            name(code).map(&mut event);
        }
    }
    if tx.auth() == Auth::UNRECOGNIZED {
        event("http.request_auth_unrecognized");
    }
    let unknown = matches!(tx.request_protocol_number(), Protocol::Invalid | Protocol::Unknown);
    if tx.is_0_9() && tx.method_number() == Method::Unknown && unknown {
        event("http.request_line_invalid");
    }
}
