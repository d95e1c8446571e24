//! The plan's own types. A plan can be printed, compared, signed and read by a stranger.

use ipnet::IpNet;
use ruleset::Ruleset;
use serde::Serialize;
use site::model::Mode;
use std::collections::BTreeMap;
use words::{Diagnostic, Digest, HostName, Origin, ZoneName};

/// What every managed machine must hold.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The site's name.
    pub site: String,
    /// Digest over everything below but `notes`: two plans with the same digest are the same plan.
    pub digest: Digest,
    /// By machine; machines that are not managed are not here.
    pub machines: BTreeMap<HostName, MachinePlan>,
    /// What the operator should know (shared public addresses, devices that could not be told apart).
    pub notes: Vec<Diagnostic>,
}

/// What one machine must hold.
#[derive(Debug, Clone, Serialize)]
pub struct MachinePlan {
    /// The machine.
    pub host: HostName,
    /// What it is to the network.
    pub role: Role,
    /// Mode of its network layer. `Off`: the ruleset is empty and its own table must not exist.
    pub mode: Mode,
    /// Device per zone it stands in.
    pub devices: BTreeMap<ZoneName, String>,
    /// Its own table, alone; where UFW filters the machine, with UFW's tables around Ravelin's rules.
    pub ruleset: Ruleset,
    /// Its rules as UFW knows them, where UFW filters it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ufw: Option<crate::ufw::UfwPlan>,
    /// Kernel settings, sorted by key.
    pub sysctls: Vec<Sysctl>,
    /// Addresses it must hold besides its own, sorted; an edge node's alone. Those of a pair are in [`MachinePlan::pair`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// They are left as they are: none is put on, none that was put on before is taken off. While observing nothing changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub leaves_addresses: bool,
    /// What elects and informs a node of a pair; `None` on other machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<crate::election::PairPlan>,
    /// Every id that stands in the ruleset, with its reason.
    pub rules: BTreeMap<String, RuleInfo>,
    /// Accounts, directories and units; `None` where only rulesets were asked for.
    pub system: Option<crate::system::SystemPlan>,
    /// Domains, labels and port types; `None` where only rulesets were asked for.
    pub selinux: Option<crate::selinux::SelinuxPlan>,
}

impl MachinePlan {
    /// The addresses a pair's active node holds; none where nothing is elected.
    pub fn elected_addresses(&self) -> &[Address] {
        self.pair.as_ref().filter(|p| !p.proposed).map_or(&[], |p| &p.addresses)
    }

    /// The addresses that are put on: none where they are left as they are.
    pub fn wanted_addresses(&self) -> &[Address] {
        if self.leaves_addresses { &[] } else { &self.addresses }
    }
}

/// An address a machine must hold besides those it has of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Address {
    /// The zone it is reached from.
    pub zone: ZoneName,
    /// The device of that zone, which it is put on.
    pub device: String,
    /// The address, with the length of the prefix that is on the link with it.
    pub address: IpNet,
    /// Connections of the machine's own may begin at it. Not where it has an address of its own there.
    pub source: bool,
    /// What for.
    pub why: String,
    /// Lines it comes from. Never empty.
    pub origins: Vec<Origin>,
}

/// What a machine is to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Forwards between zones.
    Edge,
    /// Filters for itself.
    Host,
}

/// Why a rule, element or counter exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    /// What it does, in a sentence.
    pub what: String,
    /// What it is for.
    pub why: String,
    /// Lines and entries it comes from. Never empty.
    pub origins: Vec<Origin>,
    /// The machine it stands on.
    pub host: HostName,
}

/// A kernel setting with what reading it back must show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Sysctl {
    /// Key with slashes, as below `/proc/sys` (device names may hold dots).
    pub key: String,
    /// Value written.
    pub value: String,
    /// What reading back must show.
    pub rule: SysctlRule,
    /// When it is written.
    pub phase: SysctlPhase,
    /// Why.
    pub why: String,
}

impl Sysctl {
    /// Whether what was read back is what the plan wants.
    #[must_use]
    pub fn is_met_by(&self, read: &str) -> bool {
        let read = read.trim();
        match self.rule {
            SysctlRule::Exactly => read == self.value,
            SysctlRule::AtLeast => match (read.parse::<u64>(), self.value.parse::<u64>()) {
                (Ok(have), Ok(want)) => have >= want,
                _ => false,
            },
        }
    }
}

/// What reading a setting back must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SysctlRule {
    /// This value.
    Exactly,
    /// A number not below this value; a larger one is left alone.
    AtLeast,
}

/// When a setting is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SysctlPhase {
    /// With the ruleset.
    WithRules,
    /// Only once connections that were under way are tracked: before, it would cut them.
    AfterSeeding,
}

/// What the model does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Options {
    /// Translate addresses in observe mode too. Off by default: observing changes nothing, and a machine that already
    /// forwards has its own translation.
    pub translate_while_observing: bool,
}
