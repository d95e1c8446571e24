//! `ravelin keys sign`: one more signature. Two people with two keys need not sit at one machine.

use super::Shown;
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input,
    keys::Signers,
    save,
    trouble::{Trouble, chain},
};
use bundle::{
    Bundle, KeyId, Signed, SignedTrust, Trust,
    signed::{Signatures, SignedError},
};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use words::{Generation, HostName};

/// Arguments of `keys sign`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The bundle or trust, signed already or not
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the signed one goes [default: in the place of FILE]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    signers: Signers,
}

#[derive(Serialize)]
struct SignedBundle {
    machine: HostName,
    generation: Generation,
    signed_by: Vec<KeyId>,
    file: String,
}

impl Face for SignedBundle {
    fn text(&self) -> String {
        let Self { machine, generation, signed_by, file } = self;
        let by: Vec<String> = signed_by.iter().map(KeyId::to_string).collect();
        format!("bundle for {machine}, generation {generation}, signed by {}: {file}\n", by.join(" and "))
    }
}

/// Signs.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let path = &arguments.file;
    if arguments.signers.keys.is_empty() {
        return Err(Trouble::usage("nothing to sign with", "--key FILE names your secret key"));
    }
    input::bounded(path, bundle::seal::MAX_BYTES as u64)?;
    let bytes = std::fs::read(path).map_err(|e| Trouble::io(path, e))?;
    let wrong = |e: &dyn std::error::Error| {
        Trouble::usage(format!("{}: {}", path.display(), chain(e)), "only a bundle or a trust that is whole is signed: fetch it again")
    };
    let (before, content) = match Signatures::are_before(&bytes) {
        true => Signatures::read(&bytes).map(|(s, content)| (Some(s), content)).map_err(|e| wrong(&e))?,
        false => (None, bytes.as_slice()),
    };
    let before = || before.iter().flat_map(|s| s.iter().map(|(id, s)| (*id, *s)));
    // Read as the machine will read it, before a key is asked for: nothing is signed that nobody understands.
    enum Content {
        Trust(Trust),
        Bundle(Box<Bundle>),
    }
    let content = if content.starts_with(b"ravelin-trust ") {
        Content::Trust(Trust::read(content).map_err(|e| wrong(&e))?)
    } else {
        Content::Bundle(Box::new(Bundle::read(content).map_err(|e| wrong(&e))?))
    };
    let secrets = arguments.signers.read()?;
    let out = arguments.out.as_ref().unwrap_or(path);
    let file = out.display().to_string();
    let many = |e: SignedError| Trouble::usage(e, "leave out keys that do not count");
    match content {
        Content::Trust(trust) => {
            let all = Signatures::new(before().chain(secrets.iter().map(|s| s.sign_trust(&trust)))).map_err(many)?;
            let signed = SignedTrust::new(trust, all);
            save::keep_mode(out, &signed.to_bytes())?;
            let shown = Shown::of(signed.trust(), signed.signatures().keys());
            show(global, &Shown { file: Some(file), ..shown })?;
        }
        Content::Bundle(bundle) => {
            let all = Signatures::new(before().chain(secrets.iter().map(|s| s.sign_bundle(&bundle)))).map_err(many)?;
            let signed = Signed::new(*bundle, all);
            save::keep_mode(out, &signed.to_bytes())?;
            let draft = signed.bundle().draft();
            let (machine, generation) = (draft.machine.clone(), draft.generation);
            show(global, &SignedBundle { machine, generation, signed_by: signed.signatures().keys(), file })?;
        }
    }
    Ok(Exit::Ok)
}
