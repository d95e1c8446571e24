//! `ravelin keys show`: what a file says. Nothing is checked against anything but itself: whether a machine believes it is said by
//! the machine.

use super::{Key, MAX_KEY_FILE, Shown, public};
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input,
    trouble::{Trouble, chain},
};
use bundle::{Bundle, KeyId, SignedTrust, Trust, signed::Signatures};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use words::{Digest, Generation, HostName};

/// Arguments of `keys show`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A public key, a trust, or a signed bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Face for Key {
    fn text(&self) -> String {
        self.line()
    }
}

#[derive(Serialize)]
struct SignedBundle {
    machine: HostName,
    generation: Generation,
    digest: Digest,
    signed_by: Vec<KeyId>,
}

impl Face for SignedBundle {
    fn text(&self) -> String {
        let Self { machine, generation, digest, signed_by } = self;
        let by: String = signed_by.iter().map(|id| format!("signature said to be by {id}\n")).collect();
        format!("bundle for {machine}, generation {generation}, SHA-256 {digest}\n{by}")
    }
}

/// Shows the file.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let path = &arguments.file;
    input::bounded(path, bundle::seal::MAX_BYTES as u64)?;
    let bytes = std::fs::read(path).map_err(|e| Trouble::io(path, e))?;
    let wrong = |e: &dyn std::error::Error| {
        Trouble::usage(format!("{}: {}", path.display(), chain(e)), "it was damaged on its way: fetch it again")
    };
    let (signatures, content) = match Signatures::are_before(&bytes) {
        true => Signatures::read(&bytes).map(|(s, content)| (s.keys(), content)).map_err(|e| wrong(&e))?,
        false => (Vec::new(), bytes.as_slice()),
    };
    if content.starts_with(b"ravelin-trust ") {
        let trust = if signatures.is_empty() {
            Trust::read(content).map_err(|e| wrong(&e))?
        } else {
            SignedTrust::read(&bytes).map_err(|e| wrong(&e))?.trust().clone()
        };
        show(global, &Shown::of(&trust, signatures))?;
    } else if content.starts_with(b"ravelin-bundle ") {
        let bundle = Bundle::read(content).map_err(|e| wrong(&e))?;
        let draft = bundle.draft();
        let (machine, generation) = (draft.machine.clone(), draft.generation);
        show(global, &SignedBundle { machine, generation, digest: bundle.digest(), signed_by: signatures })?;
    } else if bytes.len() as u64 <= MAX_KEY_FILE {
        show(global, &Key::of(&public(path)?, None))?;
    } else {
        return Err(Trouble::usage(format!("{} is no key, trust or bundle", path.display()), "`ravelin keys new NAME` makes a key"));
    }
    Ok(Exit::Ok)
}
