//! A hardened container as text for its engine, reasons as comments. In comes its plan, out come files. Never: environment or
//! command; they are the original's, and may hold tokens.
//!
//! | module | for |
//! |---|---|
//! | [`mod@compose`] | Docker, and whoever reads compose files |
//! | [`mod@quadlet`] | Podman 4.4 or later |
//! | [`service`] | any Podman under systemd |

mod compose;
mod quadlet;
mod service;

pub use compose::compose;
pub use quadlet::quadlet;
pub use service::unit;

use crate::accounts::one_line;
use plan::containers::{Form, Hardened, Mount, Port};
use std::{fmt::Write as _, path::Path};

/// Why a mount is not there any more.
const GONE: &str = "is gone: it commanded the engine";

/// Name and text of the file for one container.
pub fn file(c: &Hardened) -> (String, String) {
    // Only the last part of the name becomes a file's, whatever an engine says.
    let name = Path::new(&c.name).file_name().map_or_else(|| "container".into(), |n| n.to_string_lossy());
    match c.form {
        Form::Compose => (format!("{name}.override.yml"), compose(std::slice::from_ref(c))),
        Form::Quadlet => (format!("{name}.container"), quadlet(c)),
        Form::Unit => (format!("{name}.service"), unit(c)),
    }
}

/// What is wrong with the container as it is, and the head of its unit.
fn head(c: &Hardened) -> String {
    let mut out = String::new();
    for f in &c.findings {
        let _ = writeln!(out, "# {}", one_line(&f.what));
    }
    let name = specifiers(&one_line(&c.name));
    out + &format!("[Unit]\nDescription={name}\nAfter=network-online.target\nWants=network-online.target\n\n")
}

/// Again after an end of any kind; a start may have to fetch the image first, which systemd's usual 90 s are too short for.
const RESTART: &str = "Restart=always\nTimeoutStartSec=900\n";
/// What is wanted in every boot.
const INSTALL: &str = "\n[Install]\nWantedBy=multi-user.target\n";

/// A text in which systemd finds no specifier.
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

fn published(p: &Port) -> String {
    let address = if p.address.is_ipv6() { format!("[{}]", p.address) } else { p.address.to_string() };
    let host = p.host.map(|h| h.to_string()).unwrap_or_default();
    format!("{address}:{host}:{}/{}", p.inside, p.proto)
}

fn mounted(m: &Mount) -> String {
    format!("{}:{}{}", m.source, m.target, if m.read_only { ":ro" } else { "" })
}
