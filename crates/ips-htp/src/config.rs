//! Settings of the library, with the peer's defaults, and the table of calls into an observer. Made once, shared by all conversations.

use crate::connection::{self, Observer};
use std::{marker::PhantomData, ptr::NonNull};
use suricata_htp::{
    c_api::config as c,
    config::{Config as Raw, HtpServerPersonality as Personality},
};

/// What may be set. The default is what the peer does where its configuration says nothing else.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How a server of some make would read what is ambiguous.
    pub personality: Personality,
    /// A `+` in the query is a space.
    pub plus_is_space: bool,
    /// Decode the path twice.
    pub double_decode_path: bool,
    /// Decode the query twice.
    pub double_decode_query: bool,
    /// Scheme, user, host and port stay in the normalised URI.
    pub uri_include_all: bool,
    /// Layers of content coding that are undone, at most.
    pub layers: u32,
    /// LZMA is undone.
    pub lzma: bool,
    /// Bytes that undoing LZMA may take.
    pub lzma_memory: usize,
    /// Bytes out of a decoder before it is asked whether it is a bomb.
    pub bomb: usize,
    /// Bytes of a line at most.
    pub field: usize,
    /// Open transactions at most.
    pub transactions: u32,
    /// Headers of a message at most.
    pub headers: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            personality: Personality::IDS,
            plus_is_space: false,
            double_decode_path: false,
            double_decode_query: false,
            uri_include_all: false,
            layers: 2,            // the peer's `response-body-decompress-layer-limit`
            lzma: false,          // off in the peer, for its memory
            lzma_memory: 1 << 20, // the peer's `lzma-memlimit`
            bomb: 1 << 20,        // the peer's `compression-bomb-limit`
            field: 18_000,        // the peer's hard limit of a line
            transactions: 512,    // the peer's `max-tx`
            headers: 1024,        // the peer's `headers-limit`
        }
    }
}

/// The library measures decoders by the clock too; the same bytes must give the same answer, so that limit is set to the largest value and
/// [`Settings::bomb`] alone decides.
const NO_CLOCK: u32 = u32::MAX;

/// Settings with the calls into observers of type `O`.
pub struct Config<O> {
    pub(crate) raw: NonNull<Raw>,
    observer: PhantomData<fn(O)>,
}

// SAFETY: nothing changes the library's settings once `new` has returned; threads only read them.
unsafe impl<O> Send for Config<O> {}
// SAFETY: as above.
unsafe impl<O> Sync for Config<O> {}

impl<O: Observer> Config<O> {
    /// Makes them.
    pub fn new(settings: &Settings) -> Self {
        let Some(raw) = NonNull::new(c::htp_config_create()) else { unreachable!("the library allocates its settings or aborts") };
        let p = raw.as_ptr();
        // SAFETY: `p` was just made by the library and is not shared yet; each call takes it and plain numbers or functions of the
        // type the library names.
        unsafe {
            c::htp_config_set_server_personality(p, settings.personality);
            c::htp_config_set_parse_request_cookies(p, 0);
            c::htp_config_set_allow_space_uri(p, true);
            c::htp_config_set_plusspace_decode(p, settings.plus_is_space.into());
            c::htp_config_set_double_decode_normalized_path(p, settings.double_decode_path);
            c::htp_config_set_double_decode_normalized_query(p, settings.double_decode_query);
            c::htp_config_set_normalized_uri_include_all(p, settings.uri_include_all);
            c::htp_config_set_request_decompression(p, 1);
            c::htp_config_set_decompression_layer_limit(p, i32::try_from(settings.layers).unwrap_or(i32::MAX));
            c::htp_config_set_lzma_layers(p, settings.lzma.into());
            c::htp_config_set_lzma_memlimit(p, settings.lzma_memory);
            c::htp_config_set_compression_bomb_limit(p, settings.bomb);
            c::htp_config_set_compression_time_limit(p, NO_CLOCK);
            c::htp_config_set_field_limit(p, settings.field);
            c::htp_config_set_max_tx(p, settings.transactions);
            c::htp_config_set_number_headers_limit(p, settings.headers);
            c::htp_config_register_request_start(p, connection::request_start::<O>);
            c::htp_config_register_request_line(p, connection::request_line::<O>);
            c::htp_config_register_request_header_data(p, connection::request_raw::<O>);
            c::htp_config_register_request_trailer_data(p, connection::request_raw::<O>);
            c::htp_config_register_request_body_data(p, connection::request_body::<O>);
            c::htp_config_register_request_complete(p, connection::request_complete::<O>);
            c::htp_config_register_response_start(p, connection::response_start::<O>);
            c::htp_config_register_response_header_data(p, connection::response_raw::<O>);
            c::htp_config_register_response_trailer_data(p, connection::response_raw::<O>);
            c::htp_config_register_response_body_data(p, connection::response_body::<O>);
            c::htp_config_register_response_complete(p, connection::response_complete::<O>);
        }
        Self { raw, observer: PhantomData }
    }
}

impl<O> Drop for Config<O> {
    fn drop(&mut self) {
        // SAFETY: made by `htp_config_create`, not freed before; conversations that use it hold it alive.
        unsafe { c::htp_config_destroy(self.raw.as_ptr()) }
    }
}
