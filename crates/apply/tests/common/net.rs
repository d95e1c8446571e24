//! Network namespaces inside the test's own user namespace, wired with veth pairs.
#![allow(dead_code, reason = "each test program uses a part of it")]

use super::run;
use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

/// A network namespace that lives as long as this value.
pub struct Namespace(File);

impl Namespace {
    /// A new one with loopback.
    pub fn new() -> Self {
        std::thread::spawn(|| {
            #[expect(deprecated, reason = "only the network namespace is left: no descriptor or memory is shared with it")]
            rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).expect("a network namespace");
            run("ip", &["link", "set", "lo", "up"]);
            Self(File::open("/proc/thread-self/ns/net").expect("its file"))
        })
        .join()
        .expect("a namespace")
    }
    /// The one the test was started in.
    pub fn own() -> Self {
        Self(File::open("/proc/self/ns/net").expect("its file"))
    }
    fn path(&self) -> PathBuf {
        Path::new("/proc").join(std::process::id().to_string()).join("fd").join(self.0.as_raw_fd().to_string())
    }
    /// Runs something in it.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                sys::netns::enter(&self.path()).expect("enters");
                work()
            });
            inside.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
        })
    }
    /// Runs a program in it that must succeed.
    pub fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.within(|| run(words[0], &words[1..]))
    }
    /// Gives a device addresses, without waiting for duplicates.
    pub fn address(&self, device: &str, addresses: &[&str]) {
        self.run(&format!("ip link set dev {device} up"));
        for address in addresses {
            let nodad = if address.contains(':') { " nodad" } else { "" };
            self.run(&format!("ip address add {address} dev {device}{nodad}"));
        }
    }
}

/// Wires two namespaces.
pub fn wire(a: &Namespace, a_device: &str, b: &Namespace, b_device: &str) {
    a.run(&format!("ip link add {a_device} type veth peer name {b_device} netns {}", b.path().display()));
}
