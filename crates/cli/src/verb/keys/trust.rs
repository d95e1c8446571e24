//! `ravelin keys trust|rotate|revoke`: whom machines believe, first and afterwards. The next trust is held against the one in force as a
//! machine would hold it, so that a refusal is heard here and not on a hundred machines.

use super::{Shown, public, read_trust};
use crate::{args::Global, exit::Exit, face::show, keys::Signers, save, trouble::Trouble};
use bundle::{
    Trust,
    trust::{Distrust, Role, Rule, Trusted},
};
use clap::Args;
use std::path::{Path, PathBuf};
use words::KeyName;

/// Arguments of `keys trust`.
#[derive(Debug, Args)]
pub struct First {
    /// Name of the site; keys of one site do not change another's trust
    #[arg(long, value_name = "NAME")]
    site: String,
    /// A public key that signs bundles
    #[arg(long = "apply", value_name = "FILE", required = true)]
    apply: Vec<PathBuf>,
    /// A public key that signs the next trust alone; its secret half is kept offline
    #[arg(long, value_name = "FILE")]
    recovery: Vec<PathBuf>,
    /// How many must sign: one, two, two-to-widen
    #[arg(long, value_name = "RULE", default_value_t = Rule::One)]
    rule: Rule,
    /// Where the trust goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The trust in force
    #[arg(value_name = "TRUST")]
    trust: PathBuf,
    /// A public key that signs bundles from now on
    #[arg(long, value_name = "FILE")]
    add: Vec<PathBuf>,
    /// A public key that may sign the next trust alone from now on
    #[arg(long, value_name = "FILE")]
    add_recovery: Vec<PathBuf>,
    /// A key that does not count any more, by name or id
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// How many must sign from now on: one, two, two-to-widen [default: as before]
    #[arg(long, value_name = "RULE")]
    rule: Option<Rule>,
    /// Where the next trust goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    signers: Signers,
}

/// Arguments of `keys revoke`.
#[derive(Debug, Args)]
pub struct Revoke {
    /// The trust in force
    #[arg(value_name = "TRUST")]
    trust: PathBuf,
    /// Keys that do not count any more, by name or id
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Where the next trust goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    signers: Signers,
}

const NOBODY: &str = "no recovery key: if these keys are lost, each machine has to be visited (`trust forget` on its console)";

/// Writes the first trust.
pub fn first(arguments: &First, global: &Global) -> Result<Exit, Trouble> {
    let keys = [read(&arguments.apply, Role::Apply)?, read(&arguments.recovery, Role::Recovery)?].concat();
    let trust = made(&arguments.site, 1, arguments.rule, keys)?;
    save::new_public(&arguments.out, &trust.to_bytes())?;
    let file = arguments.out.display().to_string();
    let mut next = format!("on each machine, as root: ravelin-applier trust begin {file} --machine NAME");
    if trust.of(Role::Recovery).next().is_none() {
        next += &format!("\n{NOBODY}");
    }
    show(global, &Shown { file: Some(file), next: Some(next), ..Shown::of(&trust, Vec::new()) })?;
    Ok(Exit::Ok)
}

/// Writes the next trust.
pub fn rotate(arguments: &Rotate, global: &Global) -> Result<Exit, Trouble> {
    let Rotate { add, add_recovery, remove, rule, out, .. } = arguments;
    if add.is_empty() && add_recovery.is_empty() && remove.is_empty() && rule.is_none() {
        return Err(Trouble::usage("nothing would change", "--add FILE, --remove NAME, --add-recovery FILE or --rule RULE"));
    }
    let new = [read(add, Role::Apply)?, read(add_recovery, Role::Recovery)?].concat();
    follow(&arguments.trust, remove, new, *rule, out, &arguments.signers, global)
}

/// The same without keys.
pub fn revoke(arguments: &Revoke, global: &Global) -> Result<Exit, Trouble> {
    follow(&arguments.trust, &arguments.names, Vec::new(), None, &arguments.out, &arguments.signers, global)
}

fn read(files: &[PathBuf], role: Role) -> Result<Vec<Trusted>, Trouble> {
    files.iter().map(|f| Ok(Trusted { key: public(f)?, role })).collect()
}

fn made(site: &str, epoch: u64, rule: Rule, keys: Vec<Trusted>) -> Result<Trust, Trouble> {
    Trust::new(site, epoch, rule, keys).map_err(|e| Trouble::usage(e, "name other keys or another rule; docs/keys.md says which"))
}

fn follow(
    path: &Path,
    remove: &[String],
    new: Vec<Trusted>,
    rule: Option<Rule>,
    out: &Path,
    signers: &Signers,
    global: &Global,
) -> Result<Exit, Trouble> {
    let old = read_trust(path)?;
    let is = |t: &Trusted, word: &String| t.key.name().as_str() == word || t.key.id().to_string() == *word;
    if let Some(unknown) = remove.iter().find(|w| !old.keys().any(|t| is(t, w))) {
        let all: Vec<&KeyName> = old.keys().map(|t| t.key.name()).collect();
        let all = all.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Trouble::usage(format!("no key of {} is called `{unknown}`", path.display()), format!("its keys are: {all}")));
    }
    let kept = old.keys().filter(|t| !remove.iter().any(|w| is(t, w))).cloned();
    let trust = made(old.site(), old.epoch() + 1, rule.unwrap_or(old.rule()), kept.chain(new).collect())?;
    if signers.keys.is_empty() {
        let help = "--key FILE: a key that counts in the trust in force, the one that goes or another; a recovery key where all are gone";
        return Err(Trouble::usage("the next trust must be signed", help));
    }
    let secrets = signers.read()?;
    let signed = signing::secret::sign_trust(trust, &secrets).map_err(|e| Trouble::usage(e, "leave out keys that do not count"))?;
    let file = out.display().to_string();
    let mut next = match old.accepts(&signed) {
        Ok(_) => format!("on each machine, as root: ravelin-applier trust change {file}"),
        Err(Distrust::NotEnough { .. }) => {
            format!("one more signature is needed before machines take it: ravelin keys sign {file} --key FILE")
        }
        Err(why) => {
            let help = match why {
                Distrust::Recovery => "sign it with a recovery key",
                _ => "sign with a key that counts in the trust in force: `ravelin keys show` names them",
            };
            return Err(Trouble::usage(format!("no machine would take it: {why}"), help));
        }
    };
    if signed.trust().of(Role::Recovery).next().is_none() {
        next += &format!("\n{NOBODY}");
    }
    save::new_public(out, &signed.to_bytes())?;
    let shown = Shown::of(signed.trust(), signed.signatures().keys());
    show(global, &Shown { file: Some(file), next: Some(next), ..shown })?;
    Ok(Exit::Ok)
}
