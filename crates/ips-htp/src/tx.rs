//! One exchange as the library holds it, lent for the time of a call. Texts are the bytes of the wire or what the library made of them.

use std::{marker::PhantomData, ops::Deref, ptr::NonNull};
use suricata_htp::{
    bstr::Bstr,
    c_api::{header as h, transaction as c, uri},
    request::HtpMethod,
    transaction::{Headers, HtpAuthType, HtpProtocol, HtpRequestProgress, HtpResponseProgress, Transaction},
};

/// An exchange.
pub struct Tx<'a> {
    raw: NonNull<Transaction>,
    life: PhantomData<&'a Transaction>,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $call:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self) -> Option<&[u8]> {
            // SAFETY: `raw` is valid for the life of `self`, and so is the text it holds.
            unsafe { text(c::$call(self.raw.as_ptr())) }
        }
    )*};
}

/// # Safety
/// `p` is null or valid for `'a`.
unsafe fn text<'a>(p: *const Bstr) -> Option<&'a [u8]> {
    // SAFETY: the caller's.
    unsafe { p.as_ref() }.map(|b| b.deref().deref().as_slice())
}

impl Tx<'_> {
    /// # Safety
    /// `raw` is null, or valid and not changed for the life of what is returned.
    pub(crate) unsafe fn new(raw: *const Transaction) -> Option<Self> {
        Some(Self { raw: NonNull::new(raw.cast_mut())?, life: PhantomData })
    }

    texts! {
        /// The first line of the request, without its end.
        request_line = htp_tx_request_line;
        /// The method as written.
        method = htp_tx_request_method;
        /// The URI as written.
        uri = htp_tx_request_uri;
        /// The URI, normalised.
        uri_normal = htp_tx_normalized_uri;
        /// The protocol as written in the request.
        request_protocol = htp_tx_request_protocol;
        /// The host, in lower case, without port; from the URI or the header.
        host = htp_tx_request_hostname;
        /// The first line of the answer.
        response_line = htp_tx_response_line;
        /// The protocol as written in the answer.
        response_protocol = htp_tx_response_protocol;
        /// The status as written.
        status = htp_tx_response_status;
        /// The status's words.
        message = htp_tx_response_message;
    }

    /// The host named in the URI.
    pub fn uri_host(&self) -> Option<&[u8]> {
        // SAFETY: as in `texts`; the parsed URI is null or lives as long as the exchange.
        unsafe { text(uri::htp_uri_hostname(c::htp_tx_parsed_uri(self.raw.as_ptr()))) }
    }

    /// The path of the URI, normalised.
    pub fn path(&self) -> Option<&[u8]> {
        // SAFETY: as above.
        unsafe { text(uri::htp_uri_path(c::htp_tx_parsed_uri(self.raw.as_ptr()))) }
    }

    /// The port named in the URI or the host header; none where it is absent or no port.
    pub fn port(&self) -> Option<u16> {
        // SAFETY: `raw` is valid.
        u16::try_from(unsafe { c::htp_tx_request_port_number(self.raw.as_ptr()) }).ok()
    }

    /// The method, where it is a known one.
    pub fn method_number(&self) -> HtpMethod {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_request_method_number(self.raw.as_ptr()) }
    }

    /// The protocol of the request.
    pub fn request_protocol_number(&self) -> HtpProtocol {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_request_protocol_number(self.raw.as_ptr()) }
    }

    /// A request without protocol.
    pub fn is_0_9(&self) -> bool {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_is_protocol_0_9(self.raw.as_ptr()) == 1 }
    }

    /// How the client says who it is.
    pub fn auth(&self) -> HtpAuthType {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_request_auth_type(self.raw.as_ptr()) }
    }

    /// The status, where it is a number.
    pub fn status_number(&self) -> Option<u16> {
        // SAFETY: `raw` is valid.
        u16::try_from(unsafe { c::htp_tx_response_status_number(self.raw.as_ptr()) }).ok().filter(|n| *n > 0)
    }

    /// Bytes of the answer's body on the wire.
    pub fn response_length(&self) -> u64 {
        // SAFETY: `raw` is valid.
        u64::try_from(unsafe { c::htp_tx_response_message_len(self.raw.as_ptr()) }).unwrap_or(0)
    }

    /// Bits of [`crate::Flags`].
    pub fn flags(&self) -> u64 {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_flags(self.raw.as_ptr()) }
    }

    /// Its number in the conversation, from 0.
    pub fn index(&self) -> usize {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_index(self.raw.as_ptr()) }
    }

    /// How far the request is.
    pub fn request_progress(&self) -> HtpRequestProgress {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_request_progress(self.raw.as_ptr()) }
    }

    /// How far the answer is.
    pub fn response_progress(&self) -> HtpResponseProgress {
        // SAFETY: `raw` is valid.
        unsafe { c::htp_tx_response_progress(self.raw.as_ptr()) }
    }

    /// Names and values of the request's headers, in order.
    pub fn request_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // SAFETY: `raw` is valid; the table lives as long as the exchange.
        headers(unsafe { c::htp_tx_request_headers(self.raw.as_ptr()) })
    }

    /// Names and values of the answer's headers, in order.
    pub fn response_headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        // SAFETY: as above.
        headers(unsafe { c::htp_tx_response_headers(self.raw.as_ptr()) })
    }
}

/// The table is null or valid for `'a`, as both callers say.
fn headers<'a>(table: *const Headers) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    (0..).map_while(move |i| {
        // SAFETY: the table is null or valid; the library answers null beyond its end, and entries live as long as the table.
        unsafe {
            let entry = h::htp_headers_get_index(table, i);
            Some((text(h::htp_header_name(entry))?, text(h::htp_header_value(entry))?))
        }
    })
}
