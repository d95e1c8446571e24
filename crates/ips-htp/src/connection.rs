//! One conversation: bytes in, calls to the observer out.

use crate::{config::Config, tx::Tx};
use std::{ptr, slice, sync::Arc};
use suricata_htp::{
    HtpStatus,
    c_api::{connection as cc, connection_parser as c, log as l, transaction as t},
    connection_parser::{ConnectionParser, HtpStreamState},
    log::HtpLogCode,
    transaction::{Data, Transaction},
};

/// What a body goes on with, after transfer and content codings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many bytes were lost.
    Gap(u64),
    /// Nothing more.
    End,
}

/// What is told while bytes are read.
pub trait Observer {
    /// A request begins.
    fn request_start(&mut self, tx: &Tx<'_>);
    /// Its first line was read.
    fn request_line(&mut self, tx: &Tx<'_>);
    /// Bytes of headers or trailers, as on the wire.
    fn request_raw(&mut self, tx: &Tx<'_>, bytes: &[u8]);
    /// Bytes of the body.
    fn request_body(&mut self, tx: &Tx<'_>, part: Part<'_>);
    /// It has ended.
    fn request_complete(&mut self, tx: &Tx<'_>);
    /// An answer begins.
    fn response_start(&mut self, tx: &Tx<'_>);
    /// Bytes of headers or trailers, as on the wire.
    fn response_raw(&mut self, tx: &Tx<'_>, bytes: &[u8]);
    /// Bytes of the body.
    fn response_body(&mut self, tx: &Tx<'_>, part: Part<'_>);
    /// It has ended. False: reading ends here, the conversation goes on as something else.
    fn response_complete(&mut self, tx: &Tx<'_>) -> bool;
}

/// How reading went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// All was read.
    Going,
    /// So many bytes were read; the other direction must be read first.
    Other(usize),
    /// So many bytes were read; what follows is not HTTP (a tunnel, or the observer said so).
    Stop(usize),
    /// What follows is carried through, and nothing is read any more.
    Tunnel(usize),
    /// This cannot be read on.
    Failed,
}

/// A conversation.
pub struct Connection<O: Observer> {
    raw: *mut ConnectionParser,
    observer: *mut O,
    /// Held alive as long as the library's own pointer to it.
    _config: Arc<Config<O>>,
}

// SAFETY: the library's object is reached only through this one, shares nothing with another conversation (its reference-counted log lies
// within it), and is used by one thread at a time, as every call that changes it takes `&mut self`.
unsafe impl<O: Observer + Send> Send for Connection<O> {}

impl<O: Observer> Connection<O> {
    /// Opens one.
    pub fn new(config: Arc<Config<O>>, observer: O) -> Self {
        let observer = Box::into_raw(Box::new(observer));
        // SAFETY: the settings are alive as long as `config`, which is held; the pointer to the observer is freed in `drop` only, after the
        // library's object.
        let raw = unsafe {
            let raw = c::htp_connp_create(config.raw.as_ptr());
            c::htp_connp_set_user_data(raw, observer.cast());
            c::htp_connp_open(raw, ptr::null(), 0, ptr::null(), 0, ptr::null());
            raw
        };
        Self { raw, observer, _config: config }
    }

    /// The observer.
    pub fn observer(&self) -> &O {
        // SAFETY: calls from the library, which alone use the pointer otherwise, happen only while `&mut self` is lent.
        unsafe { &*self.observer }
    }

    /// The observer, to be changed.
    pub fn observer_mut(&mut self) -> &mut O {
        // SAFETY: as above.
        unsafe { &mut *self.observer }
    }

    /// Bytes of the client. Empty input changes nothing.
    pub fn request(&mut self, bytes: &[u8]) -> Flow {
        if bytes.is_empty() {
            return Flow::Going;
        }
        // SAFETY: the object is ours; the bytes are lent for the call and the library copies what it keeps.
        let state = unsafe { c::htp_connp_request_data(self.raw, ptr::null(), bytes.as_ptr().cast(), bytes.len()) };
        // SAFETY: the object is ours.
        let read = unsafe { c::htp_connp_request_data_consumed(self.raw) };
        flow(state, read, bytes.len())
    }

    /// Bytes of the server. Empty input changes nothing.
    pub fn response(&mut self, bytes: &[u8]) -> Flow {
        if bytes.is_empty() {
            return Flow::Going;
        }
        // SAFETY: as in `request`.
        let state = unsafe { c::htp_connp_response_data(self.raw, ptr::null(), bytes.as_ptr().cast(), bytes.len()) };
        // SAFETY: the object is ours.
        let read = unsafe { c::htp_connp_response_data_consumed(self.raw) };
        flow(state, read, bytes.len())
    }

    /// So many bytes of the client are lost.
    pub fn request_gap(&mut self, length: usize) -> Flow {
        if length == 0 {
            return Flow::Going;
        }
        // SAFETY: null with a length is how the library is told of a gap.
        let state = unsafe { c::htp_connp_request_data(self.raw, ptr::null(), ptr::null(), length) };
        flow(state, 0, length)
    }

    /// So many bytes of the server are lost.
    pub fn response_gap(&mut self, length: usize) -> Flow {
        if length == 0 {
            return Flow::Going;
        }
        // SAFETY: as above.
        let state = unsafe { c::htp_connp_response_data(self.raw, ptr::null(), ptr::null(), length) };
        flow(state, 0, length)
    }

    /// The client says nothing more.
    pub fn request_end(&mut self) {
        // SAFETY: the object is ours; a missing time is allowed.
        unsafe { c::htp_connp_request_close(self.raw, ptr::null()) }
    }

    /// Nobody says anything more.
    pub fn end(&mut self) {
        // SAFETY: as above.
        unsafe { c::htp_connp_close(self.raw, ptr::null()) }
    }

    /// The exchange of this number, where it is open and has begun.
    pub fn tx(&self, index: usize) -> Option<Tx<'_>> {
        // SAFETY: the library answers null or a pointer valid until the object is changed, which needs `&mut self`.
        unsafe { Tx::new(c::htp_connp_tx(self.raw, index)) }
    }

    /// How many exchanges have begun.
    pub fn count(&self) -> usize {
        // SAFETY: the object is ours.
        usize::try_from(unsafe { c::htp_connp_tx_size(self.raw) }).unwrap_or(0)
    }

    /// The number of the exchange whose request, or whose answer, is being read.
    pub fn current(&mut self, request: bool) -> Option<usize> {
        // SAFETY: the library answers null or a valid pointer, which is let go of before the object changes.
        unsafe {
            let p = if request { c::htp_connp_get_request_tx(self.raw) } else { c::htp_connp_get_response_tx(self.raw) };
            Tx::new(p).map(|t| t.index())
        }
    }

    /// Forgets an exchange.
    pub fn forget(&mut self, index: usize) {
        // SAFETY: the object is ours; no exchange is lent while `&mut self` is.
        unsafe { t::htp_tx_destroy(self.raw, index) }
    }

    /// What was noted since the last call, oldest first.
    pub fn notes(&mut self) -> impl Iterator<Item = HtpLogCode> + '_ {
        // SAFETY: the object is ours and stays while the iterator lives.
        let inner = unsafe { c::htp_connp_connection(self.raw) };
        std::iter::from_fn(move || {
            // SAFETY: `inner` is part of the object; a note is ours once it is handed out, and freed once.
            unsafe {
                let note = cc::htp_conn_next_log(inner);
                if note.is_null() {
                    return None;
                }
                let code = l::htp_log_code(note);
                l::htp_log_free(note);
                Some(code)
            }
        })
    }
}

impl<O: Observer> Drop for Connection<O> {
    fn drop(&mut self) {
        // SAFETY: both were made in `new` and are freed here only, the library's object first.
        unsafe {
            c::htp_connp_destroy_all(self.raw);
            drop(Box::from_raw(self.observer));
        }
    }
}

fn flow(state: HtpStreamState, read: i64, length: usize) -> Flow {
    let read = usize::try_from(read).unwrap_or(0).min(length);
    match state {
        HtpStreamState::ERROR => Flow::Failed,
        HtpStreamState::DATA_OTHER => Flow::Other(read),
        HtpStreamState::STOP => Flow::Stop(read),
        HtpStreamState::TUNNEL => Flow::Tunnel(read),
        _ => Flow::Going,
    }
}

/// Runs `call` with the observer and the exchange.
///
/// # Safety
/// Called by the library only, with its own pointers, while a method of [`Connection`] holds `&mut self`.
unsafe fn tell<O: Observer, R>(
    connection: *const ConnectionParser,
    tx: *const Transaction,
    call: impl FnOnce(&mut O, &Tx<'_>) -> R,
) -> Option<R> {
    // SAFETY: user data is the observer's pointer, set in `Connection::new`; no other reference to it is alive.
    let observer = unsafe { c::htp_connp_user_data(connection).cast::<O>().as_mut() }?;
    // SAFETY: the exchange is valid for the call.
    let tx = unsafe { Tx::new(tx) }?;
    Some(call(observer, &tx))
}

macro_rules! on_tx {
    ($($name:ident)*) => {$(
        pub(crate) unsafe extern "C" fn $name<O: Observer>(connection: *const ConnectionParser, tx: *mut Transaction) -> HtpStatus {
            // SAFETY: the library's own call.
            unsafe { tell::<O, _>(connection, tx, |o, tx| o.$name(tx)) };
            HtpStatus::OK
        }
    )*};
}
on_tx! { request_start request_line request_complete response_start }

pub(crate) unsafe extern "C" fn response_complete<O: Observer>(connection: *const ConnectionParser, tx: *mut Transaction) -> HtpStatus {
    // SAFETY: the library's own call.
    match unsafe { tell::<O, _>(connection, tx, |o, tx| o.response_complete(tx)) } {
        Some(false) => HtpStatus::STOP,
        _ => HtpStatus::OK,
    }
}

/// # Safety
/// `data` is valid for `'a`.
unsafe fn lent<'a>(data: *const Data<'_>) -> Part<'a> {
    // SAFETY: the library hands out a pointer with the length of what it points to, or null with the length of a gap or with none.
    unsafe {
        let p = t::htp_tx_data_data(data);
        let n = usize::try_from(t::htp_tx_data_len(data)).unwrap_or(0);
        match (p.is_null(), n) {
            (_, 0) => Part::End,
            (true, n) => Part::Gap(n as u64),
            (false, n) => Part::Bytes(slice::from_raw_parts(p, n)),
        }
    }
}

macro_rules! on_data {
    ($($name:ident)*) => {$(
        pub(crate) unsafe extern "C" fn $name<O: Observer>(connection: *const ConnectionParser, data: *mut Data<'_>) -> HtpStatus {
            // SAFETY: the library's own call; the data are valid while it lasts.
            unsafe {
                if let Part::Bytes(bytes) = lent(data) {
                    tell::<O, _>(connection, t::htp_tx_data_tx(data), |o, tx| o.$name(tx, bytes));
                }
            }
            HtpStatus::OK
        }
    )*};
}
on_data! { request_raw response_raw }

macro_rules! on_body {
    ($($name:ident)*) => {$(
        pub(crate) unsafe extern "C" fn $name<O: Observer>(connection: *const ConnectionParser, data: *mut Data<'_>) -> HtpStatus {
            // SAFETY: as above.
            unsafe { tell::<O, _>(connection, t::htp_tx_data_tx(data), |o, tx| o.$name(tx, lent(data))) };
            HtpStatus::OK
        }
    )*};
}
on_body! { request_body response_body }
