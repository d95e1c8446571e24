//! Turning on the kernel and on other processes: tracing, modules, BPF, mounts, the clock, device nodes.

use super::{Verb, first, number};
use crate::kernel;

pub const VERBS: [Verb; 8] = [
    ("trace", |a| kernel::trace(number(first(a))?)),
    ("signal", |a| kernel::signal(number(first(a))?)),
    ("bpf", |_| kernel::bpf()),
    ("counters", |_| kernel::counters()),
    ("module", |a| kernel::module(first(a))),
    ("mount", |a| kernel::mount(first(a))),
    ("clock", |_| kernel::set_clock()),
    ("node", |a| kernel::disk_node(&format!("{}/node-{}", first(a), std::process::id()))),
];
