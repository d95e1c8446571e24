//! One backup, tested. In come what it is of, its newest file, how to decrypt it, and the machine's keys; out comes whether it
//! could be restored. Archives are compared key by key, lotus's form is read to its checksum, dumps to their end, a firewall's
//! state is loaded in a network namespace of its own.

use crate::{
    Error, Key, archive,
    compare::compare,
    lotus,
    stream::{self, Plain},
};
use facts::Asset;
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
};

/// The key under which a miner's metadata holds its address (lotus, node/modules).
const MINER: &str = "/miner-address";
/// Largest firewall state that is loaded, in bytes.
const MOST_RULES: u64 = 64 << 20;
/// What `pg_dump` and `ysql_dump` write last.
const COMPLETE: &str = "database dump complete";
/// Bytes at the end of a dump that are looked at.
const TAIL: usize = 4096;

/// What a test found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It could be restored.
    Passed(String),
    /// It could not, or would not bring everything back.
    Failed(String),
    /// It cannot be tested from here.
    Untested(String),
}

/// Tests one backup.
pub fn check(of: Asset, path: &Path, decrypt: Option<&str>, keys: &[Key]) -> Outcome {
    match tried(of, path, decrypt, keys) {
        Ok(outcome) => outcome,
        Err(Error::Program { program, why }) if why == "not installed" => Outcome::Untested(format!("{program} is not installed")),
        Err(e) => Outcome::Failed(e.to_string()),
    }
}

fn tried(of: Asset, path: &Path, decrypt: Option<&str>, keys: &[Key]) -> Result<Outcome, Error> {
    let kind = fs::symlink_metadata(path)?;
    if kind.is_dir() {
        // Their own tools read everything back and hold the password for it; a second one here would be one more place for it to lie.
        if let Some(tool) = observe::backup::repository(path) {
            let whole = if tool == "restic" { "restic check --read-data" } else { "borg check --verify-data" };
            return Ok(Outcome::Untested(format!("a repository of {tool}: `{whole}` tests it, which asks for its password")));
        }
        return Ok(match of {
            Asset::Keystore => judged(keys, &archive::directory(path)?),
            _ => Outcome::Untested("a directory; only keystores are compared so".into()),
        });
    }
    if !kind.is_file() {
        return Err(Error::Broken("no regular file".into()));
    }
    let Some(mut plain) = stream::open(File::open(path)?, decrypt)? else {
        return Ok(Outcome::Untested("it is encrypted, and --decrypt was not given".into()));
    };
    let outcome = match (of, plain.form()) {
        (Asset::Keystore, "tar") => judged(keys, &archive::tar(&mut plain)?),
        (Asset::Metadata, "lotus") => metadata(&mut plain)?,
        (Asset::Metadata | Asset::Database | Asset::Firewall, "tar") => {
            let files = archive::tar(&mut plain)?;
            Outcome::Passed(format!("an archive of {} files, whole; what is in them was not looked at", files.len()))
        }
        (Asset::Database, "pg-custom") => custom_dump(&mut plain)?,
        (Asset::Database, _) => plain_dump(&mut plain)?,
        (Asset::Firewall, _) => firewall(&mut plain)?,
        (_, form) => Outcome::Failed(format!("its form is `{form}`, which is no backup of a {of}")),
    };
    plain.end()?;
    Ok(outcome)
}

fn judged(keys: &[Key], files: &archive::Files) -> Outcome {
    let found = compare(keys, files);
    if keys.is_empty() {
        return match found.held {
            0 => Outcome::Failed("no key in it".into()),
            n => Outcome::Passed(format!("{n} files, whole; this machine has no key to compare with")),
        };
    }
    let said =
        format!("{} keys as in the keystore, {} other ones under the same name, {} not in it", found.same, found.other, found.missing);
    if found.other + found.missing == 0 { Outcome::Passed(said) } else { Outcome::Failed(said) }
}

fn metadata(plain: &mut Plain) -> Result<Outcome, Error> {
    let held = lotus::read(plain, MINER)?;
    let said = format!("{} entries and {} of the log, checksum right", held.entries, held.logged);
    Ok(if held.met { Outcome::Passed(said) } else { Outcome::Failed(format!("{said}, but no miner's address in it")) })
}

/// `pg_restore --list` reads the table of contents; the stream behind it is read to its end.
fn custom_dump(plain: &mut Plain) -> Result<Outcome, Error> {
    let listed = fed("pg_restore", &["--list"], plain)?;
    let tables = listed.lines().filter(|l| l.contains(" TABLE DATA ")).count();
    Ok(if tables > 0 {
        Outcome::Passed(format!("pg_restore lists {tables} tables with data"))
    } else {
        Outcome::Failed("pg_restore lists no table with data".into())
    })
}

fn plain_dump(plain: &mut Plain) -> Result<Outcome, Error> {
    let (mut tail, mut tables) = (Vec::new(), 0usize);
    let mut chunk = vec![0u8; 1 << 16];
    let mut line_open = Vec::new();
    loop {
        let n = plain.read(&mut chunk)?;
        if n == 0 {
            break;
        }
        let got = chunk.get(..n).unwrap_or_default();
        for part in got.split_inclusive(|b| *b == b'\n') {
            // A line's beginning is enough to know what it is.
            if line_open.len() < 16 {
                line_open.extend_from_slice(part.get(..part.len().min(16)).unwrap_or_default());
            }
            if part.ends_with(b"\n") {
                tables += usize::from(line_open.starts_with(b"COPY ") || line_open.starts_with(b"CREATE TABLE "));
                line_open.clear();
            }
        }
        tail.extend_from_slice(got);
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
    }
    let complete = String::from_utf8_lossy(&tail).contains(COMPLETE);
    Ok(match (complete, tables) {
        (true, 1..) => Outcome::Passed(format!("a dump with {tables} lines of tables and their data, complete")),
        (true, 0) => Outcome::Failed("a complete dump of nothing".into()),
        (false, _) => Outcome::Failed("the dump does not end as a complete one does".into()),
    })
}

/// Loads a ruleset in a network namespace of its own.
fn firewall(plain: &mut Plain) -> Result<Outcome, Error> {
    let mut text = Vec::new();
    plain.take(MOST_RULES).read_to_end(&mut text)?;
    let begin = String::from_utf8_lossy(text.get(..text.len().min(4096)).unwrap_or_default()).into_owned();
    let first = begin.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or_default();
    let program: &[&str] = match first.chars().next() {
        None => return Ok(Outcome::Failed("it is empty".into())),
        Some('{') => &["nft", "--json", "--file", "-"],
        Some('*') => &["iptables-restore"],
        _ => &["nft", "--file", "-"],
    };
    let words: Vec<&str> = ["--map-root-user", "--net"].into_iter().chain(program.iter().copied()).collect();
    fed("unshare", &words, &mut text.as_slice())?;
    Ok(Outcome::Passed(format!("{} took it, in a network namespace of its own", program.first().copied().unwrap_or_default())))
}

/// A program's output, the stream as its input.
fn fed(program: &str, arguments: &[&str], from: &mut impl Read) -> Result<String, Error> {
    let failed = |why: String| Error::Program { program: program.to_owned(), why };
    let not_there =
        |e: std::io::Error| failed(if e.kind() == std::io::ErrorKind::NotFound { "not installed".into() } else { e.to_string() });
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(not_there)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (said, complaint) = std::thread::scope(|scope| {
        let out = scope.spawn(move || {
            let mut text = Vec::new();
            stdout.map(|mut s| s.read_to_end(&mut text));
            text
        });
        let err = scope.spawn(move || {
            let mut text = Vec::new();
            stderr.map(|mut s| s.read_to_end(&mut text));
            text
        });
        if let Some(mut stdin) = stdin {
            // A program that has seen enough closes its end; that is no fault of the backup.
            let mut chunk = vec![0u8; 1 << 16];
            while let Ok(n @ 1..) = from.read(&mut chunk) {
                if stdin.write_all(chunk.get(..n).unwrap_or_default()).is_err() {
                    break;
                }
            }
        }
        (out.join().unwrap_or_default(), err.join().unwrap_or_default())
    });
    let status = child.wait()?;
    if !status.success() {
        let complaint: String = String::from_utf8_lossy(&complaint).trim().chars().take(400).collect();
        return Err(failed(if complaint.is_empty() { status.to_string() } else { complaint }));
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
