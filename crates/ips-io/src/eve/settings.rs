//! What is written, and how.

use std::collections::BTreeMap;

/// The peer's `payload-buffer-size` where none is given, in bytes.
const PAYLOAD: usize = 4096;
/// What stands before the value of a reference where no file says it: the peer's `reference.config`.
const PREFIXES: [(&str, &str); 12] = [
    ("bugtraq", "http://www.securityfocus.com/bid/"),
    ("bid", "http://www.securityfocus.com/bid/"),
    ("cve", "https://cve.mitre.org/cgi-bin/cvename.cgi?name="),
    ("secunia", "http://www.secunia.com/advisories/"),
    ("arachnids", "http://www.whitehats.com/info/IDS"),
    ("mcafee", "https://vil.nai.com/vil/content/v_"),
    ("nessus", "https://www.nessus.org/plugins/index.php?view=single&id="),
    ("url", "https://"),
    ("et", "http://doc.emergingthreats.net/"),
    ("etpro", "http://doc.emergingthreatspro.com/"),
    ("telus", "http://"),
    ("md5", "https://www.threatexpert.com/report.aspx?md5="),
];

/// What is written, and how.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// Kinds of events; empty for all.
    pub kinds: Vec<String>,
    /// The payload of a packet with an alert, in base64.
    pub payload: bool,
    /// The same, readable.
    pub payload_printable: bool,
    /// Most bytes of a stream that are shown as payload.
    pub payload_most: usize,
    /// The packet itself, in base64.
    pub packet: bool,
    /// The packet itself with anomalies of it.
    pub anomaly_packet: bool,
    /// What a rule refers to.
    pub references: bool,
    /// What stands before the value of each kind of reference.
    pub prefixes: BTreeMap<String, String>,
    /// What was done with connections whose beginning was not seen, in events of flows.
    pub exceptions: bool,
    /// Packets that follow one that a rule tagged.
    pub tagged: bool,
    /// What becomes of the packet, in alerts.
    pub verdict: bool,
    /// Hardware addresses.
    pub ethernet: bool,
    /// The flow's name in other tools.
    pub community_id: bool,
    /// Its seed.
    pub community_seed: u16,
    /// Anomalies of packets.
    pub decode: bool,
    /// Anomalies of streams.
    pub stream: bool,
    /// Anomalies of applications.
    pub application: bool,
    /// Names and values that rules keep.
    pub metadata: bool,
    /// Counts of nothing are left out of statistics.
    pub no_zeros: bool,
    /// The frame's number in the capture.
    pub numbers: bool,
    /// What classes of rules are called.
    pub classes: BTreeMap<String, String>,
}

impl Settings {
    /// Takes what classes are called, and what kinds of references stand for.
    pub fn take_classes(&mut self, tables: &ips_rules::Tables) {
        for (name, class) in tables.classes.iter().flatten() {
            self.classes.insert(name.clone(), class.text.clone());
        }
        if let Some(references) = &tables.references {
            self.prefixes.clone_from(references);
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            payload: false,
            payload_printable: false,
            payload_most: PAYLOAD,
            packet: false,
            anomaly_packet: false,
            references: false,
            prefixes: PREFIXES.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            exceptions: false,
            tagged: true,
            verdict: true,
            ethernet: false,
            community_id: false,
            community_seed: 0,
            decode: false,
            stream: false,
            application: true,
            metadata: true,
            no_zeros: false,
            numbers: true,
            classes: BTreeMap::new(),
        }
    }
}
