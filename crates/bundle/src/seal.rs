//! Canonical bytes. A bundle on disk is one line `ravelin-bundle DIGEST`, then the draft as JSON with fields in the order
//! of their definition and maps sorted. Reading checks the digest and that writing again gives the same bytes, so that
//! one content has one digest.

use crate::{
    address::{self, AddressError},
    content::{Artefact, Draft, SCHEMA},
    file::{self, FileError},
    own::{OwnError, only_own_table},
};
use serde::Serialize;
use words::Digest;

/// First word of a bundle.
const MAGIC: &str = "ravelin-bundle ";

/// Largest bundle that is read, in bytes: a machine with 100,000 flows stays well below.
pub const MAX_BYTES: usize = 256 << 20;

/// How every kernel setting begins that a bundle may hold.
const SETTINGS: &str = "net.";

/// Bytes that depend on the content alone: all our maps are sorted and no type here fails to serialise.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes,
        // Fails only for maps with keys that are not text, which no type of ours has, and for writers that fail.
        Err(e) => unreachable!("canonical bytes: {e}"),
    }
}

/// A draft with its canonical bytes and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    draft: Draft,
    digest: Digest,
    body: Vec<u8>,
}

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Something else.
    #[error("not a bundle: it does not begin with `{MAGIC}DIGEST`")]
    Magic,
    /// Too large.
    #[error("the bundle has {0} bytes, at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// Changed on the way.
    #[error("the bundle is damaged: its head says {said:?}, its content has {is:?}")]
    Digest {
        /// In the head.
        said: Digest,
        /// Of the content.
        is: Digest,
    },
    /// Not the form.
    #[error("the bundle's content is not understood")]
    Form(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the bundle has version {0} of the form, this program reads {SCHEMA}")]
    Schema(u32),
    /// Not what this program would have written.
    #[error("the bundle is not in canonical form")]
    NotCanonical,
    /// A kernel setting outside the network.
    #[error("the bundle sets `{0}`: only settings below `{SETTINGS}` are accepted")]
    Setting(String),
    /// A file that is not ours, or that would run something as root.
    #[error("the bundle has a file that is not accepted")]
    File(#[source] FileError),
    /// An address that no gateway or published service can have.
    #[error("the bundle has an address that is not accepted")]
    Address(#[source] AddressError),
    /// Something in UFW's files that is not Ravelin's to write.
    #[error("the bundle writes what is not Ravelin's into UFW's files: `{0}`")]
    Ufw(String),
    /// Touches what is not ours.
    #[error("the bundle reaches beyond our own table")]
    Own(#[source] OwnError),
}

impl Bundle {
    /// Seals a draft. Refuses scripts that touch another table than our own, and files that are not ours.
    pub fn seal(draft: Draft) -> Result<Self, ReadError> {
        if draft.schema != SCHEMA {
            return Err(ReadError::Schema(draft.schema));
        }
        for artefact in &draft.artefacts {
            match artefact {
                Artefact::Nft { text } => only_own_table(text).map_err(ReadError::Own)?,
                Artefact::Ufw { files } => files.foreign().map_or(Ok(()), |what| Err(ReadError::Ufw(what)))?,
                // `kernel.core_pattern` would run a program as root: a bundle has no business outside the network.
                Artefact::Sysctl { settings } => {
                    if let Some(name) = settings.keys().find(|name| !name.starts_with(SETTINGS)) {
                        return Err(ReadError::Setting(name.clone()));
                    }
                }
                Artefact::File(_) | Artefact::Addresses { .. } => {}
            }
        }
        file::check(draft.files()).map_err(ReadError::File)?;
        address::check(draft.addresses()).map_err(ReadError::Address)?;
        only_own_table(&draft.break_glass).map_err(ReadError::Own)?;
        let body = canonical(&draft);
        Ok(Self { digest: Digest::of(&body), draft, body })
    }
    /// Reads and checks.
    pub fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        if bytes.len() > MAX_BYTES {
            return Err(ReadError::TooLarge(bytes.len()));
        }
        let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or(ReadError::Magic)?;
        let end = rest.iter().position(|&b| b == b'\n').ok_or(ReadError::Magic)?;
        let (head, body) = rest.split_at(end);
        let body = &body[1..];
        let said: Digest = std::str::from_utf8(head).ok().and_then(|t| t.parse().ok()).ok_or(ReadError::Magic)?;
        let is = Digest::of(body);
        if is != said {
            return Err(ReadError::Digest { said, is });
        }
        let sealed = Self::seal(serde_json::from_slice(body).map_err(ReadError::Form)?)?;
        if sealed.body != body { Err(ReadError::NotCanonical) } else { Ok(sealed) }
    }
    /// The bytes that [`Bundle::read`] takes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [format!("{MAGIC}{}\n", self.digest).as_bytes(), &self.body].concat()
    }
    /// The digest: what the next bundle names as its parent.
    pub fn digest(&self) -> Digest {
        self.digest
    }
    /// What it says.
    pub fn draft(&self) -> &Draft {
        &self.draft
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::{Expected, Management};
    use proptest::prelude::*;
    use ruleset::form::{Base, Chain, ChainKind, Hook, Key, Op, Policy, Rule, Ruleset, Statement, Table, TableFamily, Value, Writer};
    use std::collections::BTreeMap;
    use words::{Generation, HostName};

    pub(crate) fn draft() -> Draft {
        let rule = Rule {
            id: Some("f0000001".into()),
            statements: vec![Statement::Match {
                key: Key::Ip6Saddr,
                mask: None,
                op: Op::In,
                values: vec![Value::Range(0x2001_0db8 << 96, u128::MAX)],
            }],
            text: None,
            counted: None,
        };
        let base = Base { kind: ChainKind::Filter, hook: Hook::Input, priority: 0, policy: Policy::Drop, devices: vec![] };
        let table = Table {
            family: TableFamily::Inet,
            name: "ravelin".into(),
            writer: Writer::Nft,
            chains: vec![Chain { name: "input".into(), base: Some(base), rules: vec![rule] }],
            sets: BTreeMap::new(),
        };
        Draft {
            schema: SCHEMA,
            machine: HostName::new("daemon1").expect("name"),
            generation: Generation(3),
            parent: Some(Digest::of(b"parent")),
            site: Digest::of(b"site"),
            layers: BTreeMap::new(),
            artefacts: vec![Artefact::Nft { text: "table inet ravelin {\n}\n".into() }],
            expected: Expected { ruleset: Some(Ruleset { tables: vec![table], unread: vec![] }) },
            management: Management { from: vec!["198.51.100.7/32".parse().expect("net")], ports: vec![22] },
            break_glass: "table inet ravelin {\n}\n".into(),
            probes: vec![],
            seeds: vec![],
        }
    }

    #[test]
    fn a_bundle_reads_back_with_its_largest_numbers() {
        let sealed = Bundle::seal(draft()).expect("seals");
        assert_eq!(Bundle::read(&sealed.to_bytes()).expect("reads"), sealed);
    }

    #[test]
    fn the_policy_stays_when_only_the_number_changes() {
        let (a, mut b) = (draft(), draft());
        b.generation = b.generation.next();
        b.parent = None;
        assert_eq!(a.policy(), b.policy());
        b.break_glass.push('\n');
        assert_ne!(a.policy(), b.policy());
    }

    #[test]
    fn another_table_is_refused() {
        let mut bad = draft();
        bad.artefacts = vec![Artefact::Nft { text: "flush ruleset\n".into() }];
        assert!(matches!(Bundle::seal(bad), Err(ReadError::Own(_))));
    }

    #[test]
    fn a_setting_outside_the_network_is_refused() {
        let setting = |name: &str| {
            let value = crate::Setting { value: "|/bin/sh".into(), at_least: false, required: true };
            let mut with = draft();
            with.artefacts.push(Artefact::Sysctl { settings: BTreeMap::from([(name.to_owned(), value)]) });
            Bundle::seal(with)
        };
        assert!(matches!(setting("kernel.core_pattern"), Err(ReadError::Setting(_))));
        assert!(setting("net.ipv4.ip_forward").is_ok());
    }

    #[test]
    fn a_file_of_others_is_refused() {
        let with = |path: &str, content: &str| {
            let mut draft = draft();
            draft.artefacts.push(Artefact::File(crate::OwnFile { path: path.into(), mode: 0o644, content: content.into() }));
            Bundle::seal(draft)
        };
        assert!(matches!(with("/etc/cron.d/x", "# Written by ravelin\n"), Err(ReadError::File(_))));
        let sealed = with("/etc/sysusers.d/ravelin.conf", "# Written by ravelin\ng video -\n").expect("seals");
        assert_eq!(Bundle::read(&sealed.to_bytes()).expect("reads"), sealed);
    }

    #[test]
    fn an_address_of_a_link_is_refused() {
        let with = |address: &str| {
            let mut draft = draft();
            let one = crate::OwnAddress { device: "internet".into(), address: address.parse().expect("address"), source: false };
            draft.artefacts.push(Artefact::Addresses { addresses: vec![one], leave: false, elected: false });
            Bundle::seal(draft)
        };
        assert!(matches!(with("169.254.0.1/32"), Err(ReadError::Address(_))));
        let sealed = with("203.0.113.5/32").expect("seals");
        assert_eq!(Bundle::read(&sealed.to_bytes()).expect("reads"), sealed);
        assert_ne!(sealed.draft().policy(), draft().policy());
    }

    #[test]
    fn a_second_spelling_of_the_same_is_refused() {
        let sealed = Bundle::seal(draft()).expect("seals");
        let body = [b" ".as_slice(), &sealed.body].concat();
        let bytes = [format!("{MAGIC}{}\n", Digest::of(&body)).as_bytes(), &body].concat();
        assert!(matches!(Bundle::read(&bytes), Err(ReadError::NotCanonical)));
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_noticed(at in 0usize..10_000, flip in 1u8..=255) {
            let mut bytes = Bundle::seal(draft()).expect("seals").to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            // The digest's own hexadecimal letters may be written in either case: the content is the same then.
            if let Ok(read) = Bundle::read(&bytes) {
                prop_assert_eq!(read.draft(), &draft());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Bundle::read(&bytes);
            let _ = Bundle::read(&[MAGIC.as_bytes(), &bytes].concat());
        }
    }
}
