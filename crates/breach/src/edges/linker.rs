//! The dynamic linker: what every program loads. In come its files, out come triggers.

use super::Trigger;
use crate::{
    graph::{Evidence, Node},
    machine::{Machine, lines},
    technique::Technique,
};

/// Directories and files the linker uses by itself.
pub(crate) const PLACES: [&str; 8] =
    ["/etc/ld.so.preload", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.cache", "/lib", "/usr/lib", "/lib64", "/usr/local/lib"];

pub(super) fn triggers(m: &Machine, out: &mut Vec<Trigger>) {
    for place in PLACES {
        if m.paths.get(place).is_some() {
            out.push(Trigger::new(place, Node::Root, Technique::Linker, Evidence::new("the linker of every program uses it").at(place, 0)));
        }
    }
    for file in m.texts("/etc/ld.so.conf.d/").into_iter().chain(m.texts("/etc/ld.so.conf")).chain(m.texts("/etc/ld.so.preload")) {
        for (number, line) in lines(file) {
            for path in line.split([' ', ':', '\t', ',']).filter(|w| w.starts_with('/') && !w.contains('*')) {
                let evidence = Evidence::new(format!("the linker loads from it: {line}")).at(&file.path, number);
                out.push(Trigger::new(path, Node::Root, Technique::Linker, evidence));
            }
        }
    }
}
