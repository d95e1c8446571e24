//! After the first packets nothing is allocated: packets with and without hits, streams and transactions are looked at ten thousand times,
//! and an allocator counts.

#![allow(unsafe_code, reason = "an allocator is unsafe by its trait; this one counts and passes on")]

mod common;

use common::*;
use ips_detect::{Chunk, Seen, TxState};
use ips_proto::{Piece, Toward, Transaction};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use ips_wire::packet::Transport;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering},
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Only this thread counts: the test's harness has threads of its own.
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    if COUNTS.try_with(Cell::get).unwrap_or(false) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Request;

impl Transaction for Request {
    fn app(&self) -> App {
        App::Http
    }
    fn id(&self) -> u64 {
        0
    }
    fn done(&self, toward: Toward) -> bool {
        toward == Toward::Server
    }
    fn ready(&self, _: Buffer, _: Toward) -> bool {
        true
    }
    fn piece<'a>(&'a self, buffer: Buffer, _: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let text: &[u8] = match (buffer, index) {
            (Buffer::HttpUri, 0) => b"/index.html?id=17&Name=some+long+name",
            (Buffer::HttpHost, 0) => b"www.example.com",
            (Buffer::HttpRequestBody, 0) => {
                scratch.clear();
                scratch.extend_from_slice(b"the body of a request, made when asked for");
                return Some(Piece { bytes: scratch, offset: 0, last: true });
            }
            _ => return None,
        };
        Some(Piece { bytes: text, offset: 0, last: true })
    }
    fn quantity(&self, _: Quantity, _: Toward, _: usize) -> Option<u64> {
        None
    }
    fn named(&self, _: &str, _: &str) -> Option<bool> {
        None
    }
    fn events(&self) -> &[&'static str] {
        &[]
    }
    fn describe(&self, _: &mut Vec<u8>) {}
}

#[test]
fn nothing_is_allocated_after_the_first_packets() {
    let rules = "alert tcp any any -> any any (content:\"HTTP\"; nocase; content:\"zzz\"; distance:0; sid:1;)\n\
        alert tcp any any -> any any (content:\"index\"; pcre:\"/in(d)ex\\.\\w+/\"; threshold:type limit,track by_src,count 1,seconds 60; flowbits:set,a; sid:2;)\n\
        alert http any any -> any any (http.uri; content:\"/index\"; http.host; dotprefix; content:\".example.com\"; endswith; sid:3;)\n\
        alert http any any -> any any (http.uri; content:\"name=\"; nocase; http.request_body; content:\"absent\"; sid:4;)\n\
        alert tcp any any -> any any (content:\"x|3a|\"; base64_decode:relative; base64_data; content:\"hello\"; sid:5;)\n\
        alert udp any any -> any any (content:\"|00 01|\"; depth:4; byte_extract:1,0,n; content:\"a\"; offset:n; sid:6;)\n";
    let mut b = Bench::new(rules);
    let web = packet(Transport::Tcp(&TCP), b"GET /index.html HTTP/1.1\r\nx:aGVsbG8=\r\n\r\n");
    let name = packet(Transport::Udp(&UDP), b"\x03\x00\x01a bytes of a question");
    let mut states: Vec<TxState> = (0..2).map(|_| TxState::default()).collect();
    let mut hits = 0usize;
    let mut round = |b: &mut Bench, state: &mut TxState| {
        let stream = Some(Chunk { bytes: web.payload, offset: 0, last: false });
        let s = Seen { stream, in_stream: true, flow: Some(with_app(App::Http)), ..seen(&web) };
        b.hits.clear();
        b.tables.packet(&mut b.scratch, &s, Some(&mut b.flow), &mut b.memory, &mut b.hits);
        b.tables.transaction(&mut b.scratch, &s, &Request, state, &mut b.flow, &mut b.memory, &mut b.hits);
        let _ = b.tables.settle(&s, Some(&mut b.flow), &mut b.memory, &mut b.hits);
        hits += b.hits.list.len();
        let _ = b.packet(&seen(&name));
        hits += b.hits.list.len();
    };
    for state in &mut states {
        round(&mut b, state);
    }
    COUNTS.set(true);
    drop(black_box(Box::new(1u8)));
    assert_eq!(ALLOCATIONS.swap(0, Ordering::Relaxed), 1, "the allocator counts");
    for _ in 0..10_000 {
        // The transaction is the same one; what is kept with it was made in the first round.
        round(&mut b, &mut states[1]);
    }
    COUNTS.set(false);
    let made = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(made, 0, "allocations in 10,000 rounds");
    assert!(hits > 20_000, "{hits}");
}
