//! `ravelin keys new`: a key pair. The secret half never leaves its file.

use super::Key;
use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    keys::{ask, trouble},
    save,
    trouble::Trouble,
};
use clap::Args;
use serde::Serialize;
use signing::{Passphrase, Secret};
use std::path::PathBuf;
use words::KeyName;

/// Arguments of `keys new`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Whose key it is, e.g. `alice`
    #[arg(value_name = "NAME")]
    name: KeyName,
    /// Where both files go [default: here]
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Lock the secret key with a passphrase, asked for on the terminal
    #[arg(long, conflicts_with = "passphrase_file")]
    passphrase: bool,
    /// Lock the secret key with the passphrase in this file, mode 0600
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    key: Key,
    secret: String,
    public: String,
    locked: bool,
}

impl Face for Made {
    fn text(&self) -> String {
        let Self { secret, public, .. } = self;
        let lock = if self.locked { "with a passphrase" } else { "without a passphrase: whoever reads the file signs as you" };
        format!("{}secret key: {secret}, {lock}\npublic key: {public}\n", self.key.line())
    }
}

/// Makes both files, neither over another.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let Arguments { name, dir, .. } = arguments;
    let [secret, public] = ["key", "pub"].map(|end| dir.join(format!("{name}.{end}")));
    if public.exists() {
        return Err(Trouble::usage(format!("{} is there already", public.display()), "choose another name, or move it away"));
    }
    let passphrase = match &arguments.passphrase_file {
        Some(file) => Some(signing::passphrase_in(file).map_err(trouble)?),
        None => arguments.passphrase.then(twice).transpose()?,
    };
    let made = Secret::generate().map_err(trouble)?;
    let key = made.public(name.clone()).map_err(trouble)?;
    made.write(&secret, passphrase.as_ref()).map_err(trouble)?;
    save::new_public(&public, format!("{key}\n").as_bytes())?;
    let file = |p: PathBuf| p.display().to_string();
    let locked = passphrase.is_some();
    show(global, &Made { key: Key::of(&key, None), secret: file(secret), public: file(public), locked })?;
    Ok(Exit::Ok)
}

fn twice() -> Result<Passphrase, Trouble> {
    let none = || Trouble::usage("there is no terminal to ask for a passphrase on", "--passphrase-file FILE names a file that holds it");
    let first = ask("Passphrase of the new key: ").ok_or_else(none)?;
    let again = ask("Once more: ").ok_or_else(none)?;
    if *first != *again {
        return Err(Trouble::usage("the two passphrases differ", "no key was made; try again"));
    }
    Ok(first)
}
