//! What a whole systemd unit needs, for services whose upstream ships none or a broken one. In come `[unit]` tables, out
//! come their typed form. A service without one is packaged by the distribution or is no daemon; its unit is left alone.
//! Never: says anything about the sandbox (that follows from [`crate::Need`]s, paths and the site).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use words::EndpointName;

/// How a service is run by systemd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Unit {
    /// Program and arguments, without settings that bind or announce (those are added from `[[setting]]`).
    pub exec: String,
    /// Settings that are flags of the service itself are not taken by `exec` (a wrapper): they are set by hand.
    #[serde(default)]
    pub wrapper: bool,
    /// `Type=`.
    #[serde(default, rename = "type")]
    pub kind: UnitType,
    /// `Restart=`.
    #[serde(default)]
    pub restart: Restart,
    /// Seconds between restarts.
    #[serde(default)]
    pub restart_sec: Option<u32>,
    /// Exit codes that always restart (`RestartForceExitStatus=`).
    #[serde(default)]
    pub restart_on: Vec<u8>,
    /// Seconds and starts of the limit on restarting.
    #[serde(default)]
    pub start_limit: Option<StartLimit>,
    /// Seconds the service may take to stop before it is killed.
    #[serde(default)]
    pub stop_sec: Option<u32>,
    /// Signal that stops it, where it is not SIGTERM.
    #[serde(default)]
    pub stop_signal: Option<String>,
    /// Open files, soft and hard.
    #[serde(default)]
    pub nofile: Option<u64>,
    /// Variables it always has.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Files with variables, read where they exist. Tokens and passwords belong here, never into the unit.
    #[serde(default)]
    pub environment_files: Vec<String>,
    /// Units it starts after; wanted as well where `wants` says so.
    #[serde(default)]
    pub after: Vec<String>,
    /// Units it wants.
    #[serde(default)]
    pub wants: Vec<String>,
    /// The file upstream ships; empty where it ships none.
    #[serde(default)]
    pub upstream: String,
    /// Mistakes of the file upstream ships.
    #[serde(default, rename = "wrong")]
    pub wrongs: Vec<Wrong>,
    /// How to tell that it works.
    #[serde(default)]
    pub health: Option<Health>,
    /// File below [`crate::Service::source`], or another full source.
    pub source: String,
}

/// `Type=` of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitType {
    /// Started once the program runs: a wrong path or account is an error of the start, which `simple` hides.
    #[default]
    Exec,
    /// The service says when it is ready.
    Notify,
    /// The program goes into the background by itself.
    Forking,
    /// Runs once and ends.
    Oneshot,
}

/// `Restart=` of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Always.
    Always,
    /// When it failed.
    #[default]
    OnFailure,
    /// Never.
    No,
}

/// Limit on starting over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StartLimit {
    /// Seconds.
    pub interval_sec: u32,
    /// Starts within them.
    pub burst: u32,
}

/// A mistake in the unit upstream ships.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wrong {
    /// What is wrong, and what it does.
    pub what: String,
    /// Section of the line that corrects it: `Unit`, `Service` or `Install`.
    pub section: String,
    /// The line that corrects it, e.g. `StartLimitIntervalSec=60s`.
    pub line: String,
}

/// How to tell that a service works: an endpoint that answers, with a path for HTTP, or a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Health {
    /// Endpoint that must accept a connection.
    pub endpoint: EndpointName,
    /// Path that must answer with a status below 400.
    #[serde(default)]
    pub path: Option<String>,
    /// Command that must end with 0, for people.
    #[serde(default)]
    pub command: Option<String>,
    /// Seconds after the start within which it must work.
    pub within_sec: u32,
}
