//! Every diagnostic code of the site file with its one-line meaning; `docs/diagnostics.md` is written from this table.

use words::Code;

macro_rules! codes {
    ($($name:ident $what:literal;)*) => {
        $(#[doc = $what] pub const $name: Code = Code(stringify!($name));)*
        /// Code and meaning, in the order of the documentation.
        pub const TABLE: &[(Code, &str)] = &[$(($name, $what)),*];
    };
}

codes! {
    SYN001 "The text is not TOML.";
    SYN002 "The file is larger than a site file can be.";
    SITE001 "A key nobody knows stands here.";
    SITE002 "A value is of the wrong type.";
    SITE003 "A required key is missing.";
    SITE004 "A value is not one of those allowed.";
    SITE005 "A text is not a valid name.";
    SITE006 "Two things share one name.";
    SITE007 "A range such as `w[01-40]` is malformed, too large, or its counts do not match.";
    SITE008 "A number is outside its range.";
    SITE009 "A text is not an amount such as `10Gbit`.";
    SITE010 "A text is not a date such as `2026-12-31`.";
    SITE011 "A port or protocol is malformed.";
    SITE012 "The site has no host.";
    SITE013 "No management path is declared.";
    SITE014 "A service of the operator's own is not in catalogue form.";
    SITE015 "Two keys contradict each other.";
    SITE016 "The site file does what the catalogue warns of.";
    SITE017 "A unit, store or need of an instance is not one.";
    NAM001 "No host has this name.";
    NAM002 "No zone has this name.";
    NAM003 "No service has this name.";
    NAM004 "The service has no endpoint of this name.";
    NAM005 "Nothing of this name can stand here: no host, group, zone, place outside or address.";
    NAM006 "The host does not run this service.";
    NAM007 "The host runs several instances of this service and the file does not say which.";
    ADR001 "A text is not an address.";
    ADR002 "A text is not a prefix, or has host bits set.";
    ADR003 "An address lies outside its zone's subnets.";
    ADR004 "Two machines share one address.";
    ADR005 "Two zones' subnets overlap.";
    ADR006 "A host has no address or no zone.";
    ADR007 "A network or broadcast address cannot be a machine's.";
    ADR008 "A public address does not belong to the site.";
    ADR009 "Two zones share one VLAN.";
    FLW001 "Several services can play a part and the file does not say which.";
    FLW002 "A service needs another that the site does not have.";
    FLW003 "Two parties have no common way: no common family, or no gateway between their zones.";
    FLW004 "Two instances on one host use the same port.";
    FLW005 "Two publications use the same public address and port.";
    FLW006 "A port is random and must be pinned before rules can be written.";
    FLW007 "A `uses` names what the service does not use.";
    FLW008 "A service is bound to loopback, but others must reach it.";
    FLW009 "Nothing can be published here: no public address is known.";
    FLW010 "An `[[allow]]` opens nothing that is not already open.";
    FLW011 "Names outside limit nothing on a host that dials any public address.";
    FLW012 "Several peer-to-peer daemons share one public address.";
    FLW013 "Publications of one endpoint disagree about its limit.";
    DLN001 "What is to be asked for deadlines or jobs is none that can be.";
    DLN002 "A URL is malformed, or holds a secret.";
    DLN003 "Deadlines are to be asked for, and no miner is named.";
    DLN004 "No node that is asked can see whether a proof has landed.";
    DLN005 "A token would leave this machine unencrypted.";
    DLN006 "Who is to ask for deadlines may not reach the nodes for that.";
    WEAK001 "Wider than the catalogue's intended reach: `why` and `until` are required.";
    WEAK002 "A weakening ends soon.";
    WEAK003 "A weakening has ended.";
    EDGE001 "The edge's kind and its other keys do not fit together.";
    EDGE002 "A pair has no `sync` subnet.";
    EDGE003 "An edge has more than two nodes.";
    EDGE004 "An edge node has no address on the Internet side.";
    EDGE005 "A virtual address is not usable.";
    EDGE006 "One node: no redundancy.";
    EDGE007 "The zone is not routed.";
    EDGE008 "How long flows are looked at is not understood.";
}
