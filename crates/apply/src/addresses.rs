//! Addresses of ours on the machine's devices. In comes what a bundle wants, out comes nothing, or the first that would not. A record
//! in the state directory says which are ours: written before the first is put on, it outlives the change, so that a later one can
//! take away what nobody wants any more. Never: takes away one that was there before, whatever a bundle says of it.

use crate::{Error, revert::namespace, settings, state::State, timer};
use bundle::{Draft, OwnAddress};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use sys::address::{self, Addresses, Entry};

/// Addresses we put on, and the kernel's memory that holds them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The boot: the next kernel knows nothing of them.
    pub boot_id: String,
    /// Network namespace (inode), where it could be seen.
    pub namespace: Option<u64>,
    /// The addresses.
    pub addresses: Vec<OwnAddress>,
}

/// Whether two are the same address, however much they say is on the link with it.
fn same(a: &OwnAddress, b: &OwnAddress) -> bool {
    a.device == b.device && a.address.addr() == b.address.addr()
}

/// What the record says of this boot and namespace.
fn recorded(state: &State) -> Result<Vec<OwnAddress>, Error> {
    let record = state.record()?.filter(|r| r.boot_id == timer::boot_id() && r.namespace == namespace());
    Ok(record.map(|r| r.addresses).unwrap_or_default())
}

/// What the record says of the boot before, where this one has none yet.
fn of_an_earlier_boot(state: &State) -> Result<Vec<OwnAddress>, Error> {
    Ok(state.record()?.filter(|r| r.boot_id != timer::boot_id()).map(|r| r.addresses).unwrap_or_default())
}

fn remember(state: &State, addresses: &[OwnAddress]) -> Result<(), Error> {
    state.set_record(&Record { boot_id: timer::boot_id(), namespace: namespace(), addresses: addresses.to_vec() })
}

/// The devices' addresses, and their names' numbers.
struct Kernel {
    addresses: Addresses,
    live: Vec<Entry>,
}

impl Kernel {
    fn ask() -> Result<Self, Error> {
        let mut addresses = Addresses::open()?;
        let live = addresses.list()?;
        Ok(Self { addresses, live })
    }
    fn entry(&self, a: &OwnAddress) -> Result<Option<&Entry>, Error> {
        let device = address::device(&a.device)?;
        Ok(self.live.iter().find(|e| Some(e.device) == device && e.address == a.address.addr()))
    }
    fn add(&mut self, a: &OwnAddress) -> Result<(), Error> {
        let entry = described(a)?.ok_or_else(|| no_device(a))?;
        self.addresses.add(entry, a.source).map(drop).map_err(|e| refused("put on", a, &e))
    }
    fn delete(&mut self, a: &OwnAddress) -> Result<(), Error> {
        let Some(entry) = described(a)? else { return Ok(()) };
        // The kernel takes the others of a prefix away with its first address unless it is told not to.
        let alone = format!("net.ipv4.conf.{}.promote_secondaries", a.device.replace('.', "/"));
        let before = settings::get(&alone).filter(|_| a.address.addr().is_ipv4() && a.address.prefix_len() < a.address.max_prefix_len());
        if before.is_some() {
            settings::set(&alone, "1").map_err(|why| Error::Setting { name: alone.clone(), value: "1".into(), why })?;
        }
        let done = self.addresses.delete(entry).map(drop).map_err(|e| refused("take off", a, &e));
        if let Some(before) = before {
            // It takes nothing back that matters: with 1 nothing is lost.
            let _ = settings::set(&alone, &before);
        }
        done
    }
}

fn described(a: &OwnAddress) -> Result<Option<Entry>, Error> {
    let (address, prefix) = (a.address.addr(), a.address.prefix_len());
    Ok(address::device(&a.device)?.map(|device| Entry { device, address, prefix, duplicate: false }))
}

fn no_device(a: &OwnAddress) -> Error {
    Error::NoDevice { device: a.device.clone(), address: a.address.addr() }
}

fn refused(what: &str, a: &OwnAddress, e: &sys::Error) -> Error {
    let why = std::error::Error::source(e).map_or_else(|| e.to_string(), ToString::to_string);
    Error::Address { what: format!("{what} {} {}", a.device, a.address), why }
}

/// Whether every device is there.
pub fn check(draft: &Draft) -> Result<(), Error> {
    wanted(draft).try_for_each(|a| if address::device(&a.device)?.is_some() { Ok(()) } else { Err(no_device(a)) })
}

/// What must be on its device: nothing where addresses are left as they are.
fn wanted(draft: &Draft) -> impl Iterator<Item = &OwnAddress> {
    draft.addresses().filter(|_| !draft.leaves_addresses() && !draft.elects())
}

/// Whether one of a bundle's addresses is on its device: of a pair's nodes the active one has them.
pub fn any_there(draft: &Draft) -> Result<bool, Error> {
    let kernel = Kernel::ask()?;
    for a in draft.addresses() {
        if kernel.entry(a)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the election has from here on: it stays where it is and is ours no longer. The rest of ours goes.
fn hand_over(state: &State, elected: Vec<&OwnAddress>) -> Result<(), Error> {
    let ours = recorded(state)?;
    let rest: Vec<OwnAddress> = ours.iter().filter(|o| !elected.iter().any(|e| same(e, o))).cloned().collect();
    if rest.len() != ours.len() {
        remember(state, &rest)?;
    }
    put(state, [])
}

/// Ours again, before they are put back: what an election had been handed.
pub fn reclaim(state: &State, before: &[OwnAddress]) -> Result<(), Error> {
    let ours = recorded(state)?;
    let lost: Vec<OwnAddress> = before.iter().filter(|b| !ours.contains(b)).cloned().collect();
    if lost.is_empty() { Ok(()) } else { remember(state, &[ours, lost].concat()) }
}

/// Puts on what a bundle wants. Where it leaves addresses as they are, those of ours that it names stay, and are back after a boot.
pub fn put_all(state: &State, draft: &Draft) -> Result<(), Error> {
    if draft.elects() {
        return hand_over(state, draft.addresses().collect());
    }
    if !draft.leaves_addresses() {
        return put(state, draft.addresses());
    }
    let ours = [held(state)?, of_an_earlier_boot(state)?].concat();
    put(state, draft.addresses().filter(|a| ours.contains(a)))
}

/// Ours that are on their devices now: what a revert goes back to.
pub fn held(state: &State) -> Result<Vec<OwnAddress>, Error> {
    let mut ours = recorded(state)?;
    if !ours.is_empty() {
        let kernel = Kernel::ask()?;
        let mut there = Vec::new();
        for a in ours.drain(..) {
            if kernel.entry(&a)?.is_some() {
                there.push(a);
            }
        }
        ours = there;
    }
    Ok(ours)
}

/// Puts on what is wanted and not there, and takes off what is ours and not wanted.
pub fn put<'a>(state: &State, wanted: impl IntoIterator<Item = &'a OwnAddress>) -> Result<(), Error> {
    let wanted: Vec<OwnAddress> = wanted.into_iter().cloned().collect();
    let ours = recorded(state)?;
    if wanted.is_empty() && ours.is_empty() {
        return Ok(());
    }
    let mut kernel = Kernel::ask()?;
    let unwanted: Vec<&OwnAddress> = ours.iter().filter(|o| !wanted.contains(o)).collect();
    let (mut new, mut kept) = (Vec::new(), Vec::new());
    for w in &wanted {
        let replaced = unwanted.iter().any(|o| same(o, w));
        if replaced || kernel.entry(w)?.is_none() {
            new.push(w.clone());
        } else if ours.contains(w) {
            kept.push(w.clone());
        }
    }
    let all: Vec<OwnAddress> = ours.iter().chain(new.iter().filter(|n| !ours.contains(n))).cloned().collect();
    remember(state, &all)?;
    // The same address on another prefix comes off first: the kernel has it once. The rest comes off last.
    let (replaced, gone): (Vec<_>, Vec<_>) = unwanted.into_iter().partition(|o| new.iter().any(|n| same(o, n)));
    replaced.into_iter().try_for_each(|a| kernel.delete(a))?;
    new.iter().try_for_each(|a| kernel.add(a))?;
    gone.into_iter().try_for_each(|a| kernel.delete(a))?;
    remember(state, &[kept, new].concat())
}

/// What a bundle wants and is not where it should be.
pub fn of_bundle(draft: &Draft) -> Result<Vec<String>, Error> {
    differences(wanted(draft))
}

/// Addresses that are not where they should be.
pub fn differences<'a>(wanted: impl IntoIterator<Item = &'a OwnAddress>) -> Result<Vec<String>, Error> {
    let mut wanted = wanted.into_iter().peekable();
    if wanted.peek().is_none() {
        return Ok(Vec::new());
    }
    let kernel = Kernel::ask()?;
    let mut out = Vec::new();
    for a in wanted {
        let (address, device): (IpAddr, &str) = (a.address.addr(), &a.device);
        match kernel.entry(a)? {
            Some(e) if e.duplicate => out.push(format!("address {address} on {device} is of no use: another machine of the link has it")),
            Some(_) => {}
            None => out.push(format!("address {address} is not on {device}")),
        }
    }
    Ok(out)
}
