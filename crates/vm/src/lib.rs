//! A Debian machine under QEMU, in software: a stock kernel, systemd, SELinux, and scripts that run inside. In come a recipe and
//! options, out come what scripts said and how they ended. Never: touches this machine's network, firewall, accounts or
//! services; changes the cached image; leaves a machine running when its owner is gone, but those that are to stand ([`Standing`]).

pub mod cache;
mod channel;
mod disk;
mod error;
mod image;
mod machine;
mod qemu;
pub mod recipe;
mod standing;
mod switch;

pub use channel::{Code, Ran};
pub use disk::Disk;
pub use error::VmError;
pub use image::Image;
pub use machine::Machine;
pub use qemu::{Mode, Options, console};
pub use standing::{Ended, Standing};
pub use switch::Switch;
