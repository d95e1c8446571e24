//! One line of the ledger: a record, and who signed it. Its bytes depend on the content alone.

use crate::{
    report::Report,
    wave::{Target, Wave},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use words::{Digest, HostName};

/// Signs with the operator's key.
pub trait Sign {
    /// The key's id, and its signature over these bytes, as text.
    fn sign(&self, bytes: &[u8]) -> (String, String);
}

/// Knows keys.
pub trait Check {
    /// What is wrong with this signature of this key over these bytes; nothing where it is good.
    fn check(&self, key: &str, signature: &str, bytes: &[u8]) -> Option<String>;
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum What {
    /// A rollout is about to begin.
    Opened {
        /// The site's name.
        site: String,
        /// Digest of the site file, which lies beside.
        file: Digest,
        /// What was asked for.
        argument: String,
        /// Who changes when.
        waves: Vec<Wave>,
        /// What each machine holds and is to hold.
        targets: BTreeMap<HostName, Target>,
        /// Machines that stay as they are, and why.
        skipped: BTreeMap<HostName, String>,
        /// What was proved.
        proved: Vec<String>,
    },
    /// It is kept: from here on it goes forward.
    Decided,
    /// It is over, or to be resumed.
    Closed {
        /// What became of it.
        report: Report,
    },
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, counted from 1.
    pub n: u64,
    /// Seconds since 1970-01-01 UTC by the coordinator's clock.
    pub at: u64,
    /// Who, as `user@host`.
    pub by: String,
    /// The rollout's id.
    pub rollout: String,
    /// Digest of the line before.
    pub previous: Option<Digest>,
    /// What happened.
    pub what: What,
}

/// A record with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The record.
    pub record: Record,
    /// Who signed, where somebody did.
    pub key: Option<String>,
    /// The signature.
    pub signature: Option<String>,
}

impl Sealed {
    /// Seals a record.
    pub fn new(record: Record, sign: Option<&dyn Sign>) -> Self {
        let (key, signature) = sign.map(|s| s.sign(&bytes(&record))).unzip();
        Self { record, key, signature }
    }

    /// What is signed.
    pub fn signed(&self) -> Vec<u8> {
        bytes(&self.record)
    }

    /// The line, without its end.
    pub fn line(&self) -> String {
        match serde_json::to_string(self) {
            Ok(line) => line,
            Err(e) => unreachable!("records are plain structs: {e}"),
        }
    }
}

fn bytes(record: &Record) -> Vec<u8> {
    match serde_json::to_vec(record) {
        Ok(bytes) => bytes,
        Err(e) => unreachable!("records are plain structs: {e}"),
    }
}
