//! The peer's settings: its YAML file and its `KEY=VALUE` form. In come texts, out come settings of the engine, of parsers and of events, and
//! the names of what is not known here. Never: ignores a setting silently.

use crate::eve;
use ips_detect::Options;
use ips_engine::{
    settings::{Checksums, Settings},
    stream::{self, Exception, Urgent},
};
use ips_rules::{Vars, header::Action};
use ips_wire::fragment;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything that may be set.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Of the engine.
    pub engine: Settings,
    /// Of parsers.
    pub parsers: ips_proto::Settings,
    /// Of events.
    pub eve: eve::Settings,
    /// Groups of addresses and ports.
    pub vars: Vars,
    /// Of detection.
    pub detect: Options,
    /// Files beside the rules, where named: classes, references, thresholds.
    pub classification: Option<String>,
    /// Kinds of references.
    pub reference: Option<String>,
    /// Thresholds.
    pub threshold: Option<String>,
    /// File of categories of reputations.
    pub reputation_categories: Option<String>,
    /// Files of reputations.
    pub reputations: Vec<String>,
    /// What is done where something cannot be known, where no setting of its own says so.
    exception_policy: Option<Exception>,
    /// Files are kept, and all of them.
    stores: bool,
    /// See `stores`.
    stores_all: bool,
    /// The setting for connections whose beginning was not seen is given.
    midstream_policy: bool,
    /// Settings that are not known here, in the order met.
    pub unknown: Vec<String>,
}

/// A value of YAML.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Null(()),
    Flag(bool),
    Number(i64),
    Decimal(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// How deep a file may nest.
const MAX_NESTING: usize = 32;

impl Value {
    fn flatten(&self, path: &mut String, depth: usize, out: &mut Vec<(String, String)>) {
        if depth > MAX_NESTING {
            return;
        }
        let mut below = |key: &str, v: &Self| {
            let length = path.len();
            if length > 0 {
                path.push('.');
            }
            path.push_str(key);
            v.flatten(path, depth + 1, out);
            path.truncate(length);
        };
        let text = match self {
            Self::Null(()) => String::new(),
            Self::Flag(b) => if *b { "yes" } else { "no" }.to_owned(),
            Self::Number(n) => n.to_string(),
            Self::Decimal(n) => n.to_string(),
            Self::Text(t) => t.clone(),
            Self::List(l) => return l.iter().enumerate().for_each(|(i, v)| below(&i.to_string(), v)),
            Self::Map(m) => return m.iter().for_each(|(k, v)| below(k, v)),
        };
        out.push((path.clone(), text));
    }
}

/// Whether a text says yes, as the peer reads it.
fn yes(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "1" | "enabled")
}

/// A size such as `64kb`, in bytes.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "" | "b" => 1,
        "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn memory(text: &str) -> Option<usize> {
    size(text).and_then(|n| usize::try_from(n).ok())
}

const SECOND: u64 = 1_000_000;

/// What is neither engine nor events: how the peer logs, runs and captures. Known, and without meaning here.
const NOTHING_HERE: &[&str] = &[
    "logging.",
    "stats.",
    "default-log-dir",
    "run-as.",
    "pid-file",
    "coredump.",
    "unix-command.",
    "threading.",
    "af-packet",
    "pcap.",
    "nfqueue",
    "nfq.",
    "max-pending-packets",
    "runmode",
    "autofp-scheduler",
    "default-packet-size",
    "suricata-version",
    "default-rule-path",
    "rule-files",
    "luajit.",
    "mpm-algo",
    "spm-algo",
    "profiling.",
    "detect.profile",
    "detect.sgh-mpm-context",
    "host.",
    "ippair.",
    "flow.hash-size",
    "flow.prealloc",
    "flow.managers",
    "flow.recyclers",
    "defrag.hash-size",
    "defrag.prealloc",
    "defrag.max-frags",
    "stream.prealloc-sessions",
    "stream.reassembly.segment-prealloc",
    "stream.reassembly.randomize-chunk",
    "include",
    "sensor-name",
    "security.",
    "detect-engine",
];

impl Config {
    /// Takes a configuration file in the peer's form.
    ///
    /// # Errors
    /// Where the text is no YAML.
    pub fn take_yaml(&mut self, text: &str) -> Result<(), String> {
        // The reader wants YAML 1.2; the peer's file says 1.1 and uses nothing of it that differs here.
        let body: String = text.lines().filter(|l| !l.starts_with("%YAML")).flat_map(|l| [l, "\n"]).collect();
        let value: Value = serde_saphyr::from_str(&body).map_err(|e| e.to_string())?;
        self.vars.take_yaml(text)?;
        let mut pairs = Vec::new();
        value.flatten(&mut String::new(), 0, &mut pairs);
        if pairs.iter().any(|(k, _)| k.starts_with("outputs.")) {
            // What a file names as outputs replaces all of them.
            self.eve.kinds = vec!["none".to_owned()];
        }
        for (key, value) in pairs {
            if !key.starts_with("vars.") {
                self.take(&key, &value)?;
            }
        }
        Ok(())
    }

    /// Takes one setting, `KEY=VALUE`.
    ///
    /// # Errors
    /// Where it has no `=`, or the value means nothing.
    pub fn set(&mut self, setting: &str) -> Result<(), String> {
        let (key, value) = setting.split_once('=').ok_or_else(|| format!("`{setting}` has no `=`"))?;
        if key.trim().starts_with("vars.") { self.vars.set(setting) } else { self.take(key.trim(), value.trim()) }
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("`{key}`: `{value}` means nothing here");
        let stream = &mut self.engine.stream;
        match key {
            "stream.midstream" => stream.midstream = yes(value),
            "stream.midstream-policy" => {
                stream.midstream_policy = Exception::named(value).ok_or_else(wrong)?;
                self.midstream_policy = true;
            }
            "exception-policy" => self.exception_policy = Some(Exception::named(value).ok_or_else(wrong)?),
            "stream.async-oneside" => stream.async_oneside = yes(value),
            "stream.inline" => match value {
                "auto" => {}
                v => stream.inline = yes(v),
            },
            "stream.checksum-validation" => stream.checksums = yes(value),
            "stream.drop-invalid" => stream.drop_invalid = yes(value),
            "stream.memcap" => {}
            "stream.reassembly.memcap" => stream.memory = memory(value).ok_or_else(wrong)?,
            "stream.reassembly.depth" => stream.depth = size(value).ok_or_else(wrong)?,
            "stream.reassembly.toserver-chunk-size" => stream.chunk[0] = size(value).ok_or_else(wrong)?,
            "stream.reassembly.toclient-chunk-size" => stream.chunk[1] = size(value).ok_or_else(wrong)?,
            "stream.reassembly.urgent.policy" => {
                stream.urgent = match value {
                    "oob" => Urgent::OutOfBand,
                    "inline" => Urgent::Inline,
                    "drop" => Urgent::Drop,
                    "gap" => Urgent::Gap,
                    _ => return Err(wrong()),
                }
            }
            "flow.memcap" => self.engine.flows.memory = memory(value).ok_or_else(wrong)?,
            "flow.emergency-recovery" => self.engine.flows.recovery = value.parse().map_err(|_| wrong())?,
            "defrag.memcap" => self.engine.decode.fragments.memory = memory(value).ok_or_else(wrong)?,
            "defrag.trackers" => self.engine.decode.fragments.trackers = value.parse().map_err(|_| wrong())?,
            "defrag.timeout" => self.engine.decode.fragments.timeout = value.parse::<u64>().map_err(|_| wrong())?.saturating_mul(SECOND),
            "vlan.use-for-tracking" => self.engine.apart.vlans = yes(value),
            "decoder.recursion-level.use-for-tracking" => self.engine.apart.depth = yes(value),
            "decoder.vxlan.enabled" if !yes(value) => self.engine.decode.vxlan_ports.clear(),
            "decoder.teredo.enabled" if !yes(value) => self.engine.decode.teredo_ports.clear(),
            "decoder.geneve.enabled" if !yes(value) => self.engine.decode.geneve_ports.clear(),
            "decoder.vxlan.enabled" | "decoder.teredo.enabled" | "decoder.geneve.enabled" => {}
            "decoder.vxlan.reserved-bits-check" => self.engine.decode.vxlan_strict = value == "strict",
            "pcap-file.checksum-checks" => {
                self.engine.checksums = match value {
                    "auto" => Checksums::Auto,
                    v if yes(v) => Checksums::Verify,
                    _ => Checksums::Ignore,
                }
            }
            "packet-alert-max" => self.detect.most_told = value.parse().map_err(|_| wrong())?,
            "classification-file" => self.classification = Some(value.to_owned()),
            "reference-config-file" => self.reference = Some(value.to_owned()),
            "reputation-categories-file" => self.reputation_categories = Some(value.to_owned()),
            "threshold-file" => self.threshold = Some(value.to_owned()),
            _ => return self.take_further(key, value),
        }
        Ok(())
    }

    fn take_further(&mut self, key: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("`{key}`: `{value}` means nothing here");
        if let Some(rest) = key.strip_prefix("flow-timeouts.") {
            return self.timeout(rest, value).ok_or_else(wrong);
        }
        if let Some(at) = key.strip_prefix("action-order.") {
            return self.order(at, value).ok_or_else(wrong);
        }
        if key.starts_with("reputation-files.") {
            self.reputations.push(value.to_owned());
            return Ok(());
        }
        if let Some(policy) = key.strip_prefix("host-os-policy.").and_then(|k| k.split('.').next()) {
            // Without an address the policy is for all; policies by address are not kept apart here.
            if value.contains("0.0.0.0/0") {
                self.engine.stream.policy = stream::policy::Policy::named(policy).ok_or_else(wrong)?;
                self.engine.decode.fragments.policy = fragment::Policy::named(policy).unwrap_or_default();
            }
            return Ok(());
        }
        if let Some(rest) = key.strip_prefix("app-layer.protocols.http.libhtp.default-config.")
            && let Some(done) = self.http(rest, value)
        {
            return done.ok_or_else(wrong);
        }
        if let Some(name) = key.strip_prefix("app-layer.protocols.").and_then(|k| k.strip_suffix(".enabled"))
            && let Some(app) = ips_rules::header::app(name)
        {
            self.parsers.disabled.retain(|a| *a != app);
            if !yes(value) && value != "detection-only" {
                self.parsers.disabled.push(app);
            }
            return Ok(());
        }
        match key {
            "app-layer.protocols.tls.ja3-fingerprints" => {
                self.parsers.tls.ja3 = yes(value);
                return Ok(());
            }
            "app-layer.protocols.mqtt.max-msg-length" => {
                self.parsers.mqtt.packet = memory(value).ok_or_else(wrong)?;
                return Ok(());
            }
            "app-layer.protocols.tls.ja4-fingerprints" => {
                self.parsers.tls.ja4 = yes(value);
                return Ok(());
            }
            _ => {}
        }
        if let Some(rest) = key.strip_prefix("outputs.").and_then(|k| k.split_once('.')).map(|(_, k)| k) {
            if let Some(rest) = rest.strip_prefix("eve-log.") {
                self.output(rest, value);
            } else if rest.starts_with("file-store.force-hash.") {
                self.parsers.digest(digest(value));
            } else if rest == "file-store.enabled" && yes(value) {
                self.stores = true;
            } else if rest == "file-store.force-filestore" && yes(value) {
                self.stores_all = true;
            }
            return Ok(());
        }
        if !NOTHING_HERE.iter().any(|n| key.starts_with(n)) {
            self.unknown.push(key.to_owned());
        }
        Ok(())
    }

    /// One place of the order of actions.
    fn order(&mut self, at: &str, value: &str) -> Option<()> {
        let action = match value {
            "pass" => Action::Pass,
            "drop" => Action::Drop,
            "reject" => Action::RejectSource,
            "alert" => Action::Alert,
            _ => return None,
        };
        let order = &mut self.detect.order;
        order.retain(|a| *a != action);
        order.insert(at.parse::<usize>().ok()?.min(order.len()), action);
        Some(())
    }

    fn timeout(&mut self, rest: &str, value: &str) -> Option<()> {
        let (kind, phase) = rest.split_once('.')?;
        let kind = match kind {
            "tcp" => 0,
            "udp" => 1,
            "icmp" => 2,
            "default" => 3,
            _ => return None,
        };
        let (table, phase) = match phase.strip_prefix("emergency-") {
            Some(p) => (&mut self.engine.flows.emergency, p),
            None => (&mut self.engine.flows.usual, phase),
        };
        let phase = match phase {
            "new" => 0,
            "established" => 1,
            "closed" => 2,
            "bypassed" => return Some(()),
            _ => return None,
        };
        table.by_kind[kind][phase] = value.parse::<u64>().ok()?.saturating_mul(SECOND);
        Some(())
    }

    /// Settings of HTTP; the outer none: not known.
    fn http(&mut self, rest: &str, value: &str) -> Option<Option<()>> {
        let http = &mut self.parsers.http;
        let done = match rest {
            "response-body-decompress-layer-limit" => value.parse().ok().map(|n| http.reading.layers = n),
            "lzma-enabled" => {
                http.reading.lzma = yes(value);
                Some(())
            }
            "lzma-memlimit" => memory(value).map(|n| http.reading.lzma_memory = n),
            "compression-bomb-limit" => memory(value).map(|n| http.reading.bomb = n),
            "max-tx" => value.parse().ok().map(|n| http.reading.transactions = n),
            "headers-limit" => value.parse().ok().map(|n| http.reading.headers = n),
            "double-decode-path" => {
                http.reading.double_decode_path = yes(value);
                Some(())
            }
            "double-decode-query" => {
                http.reading.double_decode_query = yes(value);
                Some(())
            }
            "request-body-limit" => size(value).map(|n| http.request.limit = n),
            "response-body-limit" => size(value).map(|n| http.response.limit = n),
            "request-body-minimal-inspect-size" => size(value).map(|n| http.request.minimum = n),
            "response-body-minimal-inspect-size" => size(value).map(|n| http.response.minimum = n),
            "request-body-inspect-window" => size(value).map(|n| http.request.window = n),
            "response-body-inspect-window" => size(value).map(|n| http.response.window = n),
            _ => return None,
        };
        Some(done)
    }

    /// Settings of events.
    fn output(&mut self, rest: &str, value: &str) {
        let eve = &mut self.eve;
        if let Some(of_type) = rest.strip_prefix("types.").and_then(|r| r.split_once('.').map(|(_, n)| n).or(Some(""))) {
            let (name, key) = of_type.split_once('.').unwrap_or((of_type, ""));
            if name.is_empty() {
                add_kind(&mut eve.kinds, value);
                return;
            }
            if key == "enabled" && !yes(value) {
                eve.kinds.retain(|k| k != name);
                return;
            }
            // A detail of a kind that is written anyhow where all are.
            if !eve.kinds.is_empty() {
                add_kind(&mut eve.kinds, name);
            }
            match (name, key) {
                ("alert", "payload") => eve.payload = yes(value),
                ("alert", "payload-printable") => eve.payload_printable = yes(value),
                ("alert", "packet") => eve.packet = yes(value),
                ("alert", "tagged-packets") => eve.tagged = yes(value),
                ("alert", "verdict") => eve.verdict = yes(value),
                ("alert", "payload-buffer-size") => eve.payload_most = memory(value).unwrap_or(eve.payload_most),
                ("alert", "metadata.rule.reference") => eve.references = yes(value),
                ("anomaly", "packethdr") => eve.anomaly_packet = yes(value),
                ("stats", "null-values") => eve.no_zeros = !yes(value),
                ("flow", "exception-policy") => eve.exceptions = yes(value),
                ("mqtt", "passwords") => self.parsers.mqtt.passwords = yes(value),
                ("mqtt", "string-log-limit") => self.parsers.mqtt.text = memory(value).unwrap_or(self.parsers.mqtt.text),
                ("tls", "ja4") => self.parsers.tls.ja4 = yes(value),
                ("tls", "ja3") => self.parsers.tls.ja3 = yes(value),
                ("tls", custom) if custom.starts_with("custom.") => match value {
                    "client_handshake" => self.parsers.tls.client_handshake = true,
                    "server_handshake" => self.parsers.tls.server_handshake = true,
                    "ja4" => self.parsers.tls.ja4 = true,
                    "ja3" | "ja3s" => self.parsers.tls.ja3 = true,
                    _ => {}
                },
                ("files" | "fileinfo", hash) if hash.starts_with("force-hash.") => self.parsers.digest(digest(value)),
                ("anomaly", "types.decode") => eve.decode = yes(value),
                ("anomaly", "types.stream") => eve.stream = yes(value),
                ("anomaly", "types.applayer") => eve.application = yes(value),
                _ => {}
            }
            return;
        }
        match rest {
            "community-id" => eve.community_id = yes(value),
            "community-id-seed" => eve.community_seed = value.parse().unwrap_or(0),
            "ethernet" => eve.ethernet = yes(value),
            "metadata" => eve.metadata = yes(value),
            _ => {}
        }
    }

    /// Everything is said: what one setting means may depend on others.
    ///
    /// # Errors
    /// Where two of them do not go together.
    pub fn settle(&mut self) -> Result<(), String> {
        if self.stores && self.stores_all {
            self.parsers.digest(digest("sha256"));
        }
        let stream = &mut self.engine.stream;
        let (own, inline, midstream) = (self.midstream_policy, stream.inline, stream.midstream);
        if let Some(policy) = self.exception_policy.filter(|_| !own) {
            // What makes no sense for this one is left out of a policy for all.
            let drops = matches!(policy, Exception::DropFlow | Exception::Reject | Exception::Auto);
            stream.midstream_policy = if drops && (midstream || !inline) { Exception::Auto } else { policy };
        }
        let policy = stream.midstream_policy;
        let wrong = match policy {
            Exception::DropFlow | Exception::Reject => !inline || midstream && policy == Exception::Reject,
            Exception::Bypass => midstream,
            _ => false,
        };
        if own && wrong {
            let (mode, begun) = (if inline { "inline" } else { "listening" }, if midstream { " and midstream" } else { "" });
            return Err(format!("`stream.midstream-policy`: `{}` does not go with {mode}{begun}", policy.name(inline)));
        }
        Ok(())
    }

    /// What is inspected waits for the verdict.
    pub fn inline(&mut self) {
        self.engine.stream.inline = true;
        self.parsers.inline = true;
        self.parsers.http.request.inline = true;
        self.parsers.http.response.inline = true;
    }
}

/// A digest by its name.
fn digest(name: &str) -> ips_proto::digest::Which {
    ips_proto::digest::Which { md5: name == "md5", sha1: name == "sha1", sha256: name == "sha256" }
}

fn add_kind(kinds: &mut Vec<String>, name: &str) {
    let name = if name == "files" { "fileinfo" } else { name };
    if !kinds.iter().any(|k| k == name) {
        kinds.push(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_taken_from_a_file_and_one_by_one() {
        let mut c = Config::default();
        let yaml = "%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: \"[10.0.0.0/8]\"\nstream:\n  midstream: true\n  reassembly:\n    depth: 64kb\n    \
                    toserver-chunk-size: 3000\nflow-timeouts:\n  tcp:\n    new: 7\n    emergency-established: 9\nhost-os-policy:\n  linux: [0.0.0.0/0]\n\
                    outputs:\n  - eve-log:\n      types:\n        - alert:\n            payload: yes\n        - http\n        - files:\n      community-id: yes\nnonsense:\n  key: 1\n";
        c.take_yaml(yaml).expect("it reads");
        assert_eq!(c.vars.addresses["HOME_NET"], "[10.0.0.0/8]");
        assert!(c.engine.stream.midstream && c.engine.stream.depth == 64 << 10 && c.engine.stream.chunk == [3000, 2560]);
        assert_eq!((c.engine.flows.usual.by_kind[0][0], c.engine.flows.emergency.by_kind[0][1]), (7 * SECOND, 9 * SECOND));
        assert_eq!(c.unknown, ["nonsense.key"]);
        assert!(c.eve.payload && c.eve.community_id && c.eve.kinds == ["none", "alert", "http", "fileinfo"], "{:?}", c.eve.kinds);
        c.set("stream.reassembly.depth=0").expect("it reads");
        c.set("vars.port-groups.HTTP_PORTS=81").expect("it reads");
        c.set("app-layer.protocols.http.libhtp.default-config.response-body-limit=200kb").expect("it reads");
        assert_eq!((c.engine.stream.depth, c.parsers.http.response.limit), (0, 200 << 10));
        assert!(c.set("stream.reassembly.depth=much").is_err() && c.set("x").is_err());
        assert!(c.take_yaml("a: [").is_err());
    }
}
