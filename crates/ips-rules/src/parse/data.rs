//! Sets, reputations, and values of applications that are no buffers.

use crate::{
    build::{Build, check_name},
    fault::{self, Fault},
    header::App,
    keyword::MQTT_PACKETS,
    num::{Number, whole},
    option::Opt,
    rule::{Check, Dataset, Quantity, SetAct, Test},
};

type Done = Result<(), Fault>;

const KINDS: [&str; 5] = ["string", "md5", "sha256", "ipv4", "ip"];

/// Settings behind a set's name.
fn set(name: &str, rest: &[&str], form: &str) -> Result<Dataset, Fault> {
    check_name(name)?;
    let mut out = Dataset { name: name.to_owned(), kind: None, settings: Vec::new() };
    for part in rest {
        let (word, value) = part.split_once(char::is_whitespace).map_or((*part, ""), |(w, v)| (w, v.trim()));
        match word {
            "type" if KINDS.contains(&value) => out.kind = Some(value.to_owned()),
            "load" | "save" | "state" | "memcap" | "hashsize" if !value.is_empty() => {
                out.settings.push((word.to_owned(), value.to_owned()))
            }
            "format" if ["csv", "json", "ndjson", "jsonline"].contains(&value) => out.settings.push((word.to_owned(), value.to_owned())),
            "match" if value == "subdomain" => out.settings.push((word.to_owned(), value.to_owned())),
            "context_key" | "value_key" | "array_key" if !value.is_empty() => out.settings.push((word.to_owned(), value.to_owned())),
            "remove_key" if value.is_empty() => out.settings.push((word.to_owned(), String::new())),
            _ => return Err(Fault::new(fault::NOT_TAKEN, format!("`{part}` does not do"), format!("written as `{form}`"))),
        }
    }
    if out.settings.iter().any(|(_, v)| v.split('/').any(|part| part == "..")) {
        return Err(Fault::value("the file leaves its directory by `..`", "a path without `..`"));
    }
    let has = |w: &str| out.settings.iter().any(|(k, _)| k == w);
    if has("state") && (has("load") || has("save")) {
        return Err(Fault::place("state is load and save in one", "leave load and save out, or state"));
    }
    if out.kind.is_none() && !out.settings.is_empty() {
        return Err(Fault::value("the type is missing", form));
    }
    Ok(out)
}

pub fn dataset(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "dataset:set|unset|isset|isnotset,NAME[,type string|md5|sha256|ipv4|ip][,load FILE][,save FILE][,state FILE][,memcap N][,hashsize N][,format csv|json|ndjson][,value_key KEY][,context_key KEY][,array_key KEY][,remove_key][,match subdomain]";
    let parts = o.parts()?;
    let [act, name, rest @ ..] = parts.as_slice() else { return Err(Fault::value("the name is missing", form)) };
    let act = match *act {
        "set" => SetAct::Set,
        "unset" => SetAct::Unset,
        "isset" => SetAct::Isset,
        "isnotset" => SetAct::Isnotset,
        other => return Err(Fault::value(format!("`{other}` is no command"), form)),
    };
    let set = set(name, rest, form)?;
    b.test(Test::Dataset { set, act }, false);
    Ok(())
}

pub fn datarep(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "datarep:NAME,<|>|==,NUMBER,load FILE,type string|md5|sha256|ipv4|ip";
    let parts = o.parts()?;
    let [name, operator, number, rest @ ..] = parts.as_slice() else { return Err(Fault::value("fewer than three parts", form)) };
    let compare = Number::read(&format!("{operator}{number}"), 65_535).map_err(|e| Fault::value(e, form))?;
    let set = set(name, rest, form)?;
    b.test(Test::Reputation { set, compare }, false);
    Ok(())
}

pub fn iprep(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "iprep:any|src|dst|both,CATEGORY,OPERATOR,NUMBER";
    let parts = o.parts()?;
    let [side @ ("any" | "src" | "dst" | "both"), category, operator, rest @ ..] = parts.as_slice() else {
        return Err(Fault::value("does not do", form));
    };
    check_name(category)?;
    let compare = match (*operator, rest) {
        ("isset", []) => Number::AtLeast(0),
        (_, [number]) => Number::read(&format!("{operator}{number}"), 127).map_err(|e| Fault::value(e, form))?,
        _ => return Err(Fault::value("does not do", form)),
    };
    b.checks.push(Check::IpReputation { side: (*side).to_owned(), category: (*category).to_owned(), compare });
    Ok(())
}

fn quantity(b: &mut Build<'_>, o: &Opt<'_>, app: &[App], q: Quantity, max: u64, names: &[(&str, u64)]) -> Done {
    let n = Number::read_named(o.unquoted()?, max, names).map_err(|e| Fault::value(e, &format!("{}:[!|<|>]NUMBER|NAME", o.name)))?;
    b.about(app)?;
    b.checks.push(Check::Quantity(q, n));
    Ok(())
}

pub fn rcode(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    // RFC 1035 4.1.1, RFC 2136 2.2, RFC 6895 2.3.
    const NAMES: [(&str, u64); 11] = [
        ("noerror", 0),
        ("formerr", 1),
        ("servfail", 2),
        ("nxdomain", 3),
        ("notimp", 4),
        ("refused", 5),
        ("yxdomain", 6),
        ("yxrrset", 7),
        ("nxrrset", 8),
        ("notauth", 9),
        ("notzone", 10),
    ];
    quantity(b, o, &[App::Dns, App::Doh2], Quantity::DnsRcode, 65_535, &NAMES)
}

pub fn rrtype(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    // IANA, DNS parameters.
    const NAMES: [(&str, u64); 14] = [
        ("a", 1),
        ("ns", 2),
        ("cname", 5),
        ("soa", 6),
        ("null", 10),
        ("ptr", 12),
        ("mx", 15),
        ("txt", 16),
        ("aaaa", 28),
        ("srv", 33),
        ("naptr", 35),
        ("opt", 41),
        ("https", 65),
        ("any", 255),
    ];
    quantity(b, o, &[App::Dns, App::Doh2], Quantity::DnsRrtype, 65_535, &NAMES)
}

pub fn opcode(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    // RFC 6455 5.2.
    const NAMES: [(&str, u64); 6] = [("continuation", 0), ("text", 1), ("binary", 2), ("connection_close", 8), ("ping", 9), ("pong", 10)];
    quantity(b, o, &[App::Websocket], Quantity::WebsocketOpcode, 15, &NAMES)
}

pub fn ssh_version(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?;
    if !matches!(text, "1" | "2" | "2_compat" | "1.99" | "1.5" | "2.0") {
        return Err(Fault::value(format!("`{text}` is no version"), "ssh.protoversion:2_compat|1.99|2.0|1.5"));
    }
    named(b, o, &[App::Ssh], text)
}

pub fn ssh_software(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?;
    named(b, o, &[App::Ssh], text)
}

fn named(b: &mut Build<'_>, o: &Opt<'_>, apps: &[App], value: &str) -> Done {
    b.about(apps)?;
    b.checks.push(Check::Named(o.name.to_owned(), value.to_owned()));
    Ok(())
}

/// A value out of a closed list, `!` allowed, numbers allowed up to the list's end.
fn closed(b: &mut Build<'_>, o: &Opt<'_>, apps: &[App], known: &[&str]) -> Done {
    let text = o.unquoted()?;
    for part in text.split(',').map(str::trim) {
        let name = part.strip_prefix('!').unwrap_or(part).trim();
        let numbered = whole(name).is_some_and(|n| n <= 255);
        if !numbered && !known.iter().any(|k| k.eq_ignore_ascii_case(name)) {
            return Err(Fault::value(format!("`{name}` is not known"), &format!("{}:[!]{}", o.name, known.join("|"))));
        }
    }
    named(b, o, apps, text)
}

pub fn ws_flags(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    closed(b, o, &[App::Websocket], &["fin", "comp"])
}

pub fn mqtt_type(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let [unassigned, known @ ..] = MQTT_PACKETS;
    let known = [known.as_slice(), &[unassigned]].concat();
    let text = o.unquoted()?;
    if !known.iter().any(|k| k.eq_ignore_ascii_case(text)) {
        return Err(Fault::value(format!("`{text}` is not known"), &format!("mqtt.type:{}", known.join("|"))));
    }
    named(b, o, &[App::Mqtt], text)
}

/// All of these flags, those behind `!` not.
fn all_flags(b: &mut Build<'_>, o: &Opt<'_>, known: &[&str]) -> Done {
    let text = o.unquoted()?;
    for part in text.split(',').map(str::trim) {
        let name = part.strip_prefix('!').unwrap_or(part).trim();
        if !known.contains(&name) {
            return Err(Fault::value(format!("`{name}` is not known"), &format!("{}:[!]{}[,...]", o.name, known.join("|"))));
        }
    }
    b.about(&[App::Mqtt])?;
    // A `!` in front is the first flag's, not the condition's.
    b.checks.push(Check::Named(o.name.to_owned(), format!(" {text}")));
    Ok(())
}

pub fn mqtt_flags(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    all_flags(b, o, &["retain", "dup"])
}

pub fn mqtt_connect_flags(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    all_flags(b, o, &["username", "password", "will", "will_retain", "clean_session"])
}

pub fn mqtt_session(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?;
    if !matches!(text, "yes" | "true" | "no" | "false") {
        return Err(Fault::value(format!("`{text}` is neither yes nor no"), "mqtt.connack.session_present:yes|no"));
    }
    named(b, o, &[App::Mqtt], text)
}

/// RFC 9113 6.
pub fn frame_type(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let known =
        ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"];
    closed(b, o, &[App::Http2, App::Http], &known)
}

/// RFC 9113 7.
pub fn error_code(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let known = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
        "HTTP11_REQUIRED",
    ];
    closed(b, o, &[App::Http2, App::Http], &known)
}

/// RFC 9113 6.5.2: a name, and a comparison.
pub fn settings(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let known = [
        "SETTINGS_HEADER_TABLE_SIZE",
        "SETTINGS_ENABLE_PUSH",
        "SETTINGS_MAX_CONCURRENT_STREAMS",
        "SETTINGS_INITIAL_WINDOW_SIZE",
        "SETTINGS_MAX_FRAME_SIZE",
        "SETTINGS_MAX_HEADER_LIST_SIZE",
    ];
    let form = "http2.settings:NAME[COMPARISON]";
    let text = o.unquoted()?;
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !known.contains(&name) {
        return Err(Fault::value(format!("there is no setting `{name}`"), form));
    }
    if !rest.trim().is_empty() {
        Number::read(rest, u64::from(u32::MAX)).map_err(|e| Fault::value(e, form))?;
    }
    named(b, o, &[App::Http2, App::Http], text)
}

pub fn ftp_data(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let text = o.unquoted()?.to_ascii_lowercase();
    if !matches!(text.as_str(), "stor" | "retr" | "list" | "nlst" | "stou" | "appe" | "mlsd") {
        return Err(Fault::value(format!("`{text}` moves no data"), "ftpdata_command:stor|retr|list|nlst|stou|appe|mlsd"));
    }
    named(b, o, &[App::FtpData], &text)
}

pub fn ftp_mode(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    closed(b, o, &[App::Ftp], &["active", "passive"])
}

pub fn ftp_reply_received(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    closed(b, o, &[App::Ftp], &["yes", "no", "true", "false"])
}

pub fn iface(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "dcerpc.iface:UUID[,[!|<|>|=]VERSION][,any_frag]";
    let parts = o.parts()?;
    let uuid = parts[0].to_ascii_lowercase();
    let sizes: Vec<usize> = uuid.split('-').map(str::len).collect();
    if sizes != [8, 4, 4, 4, 12] || !uuid.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-') {
        return Err(Fault::value(format!("`{uuid}` is no UUID"), form));
    }
    let (mut version, mut any_fragment) = (None, false);
    for part in &parts[1..] {
        match *part {
            "any_frag" => any_fragment = true,
            text => version = Some(Number::read(text, 65_535).map_err(|e| Fault::value(e, form))?),
        }
    }
    b.about(&[App::Dcerpc, App::Smb])?;
    b.checks.push(Check::DceInterface { uuid, version, any_fragment });
    Ok(())
}

pub fn opnum(b: &mut Build<'_>, o: &Opt<'_>) -> Done {
    let form = "dcerpc.opnum:N[-M][,N[-M]]";
    b.about(&[App::Dcerpc, App::Smb])?;
    let text = o.unquoted()?;
    if text.starts_with(['<', '>', '!', '=']) {
        let n = Number::read(text, 65_535).map_err(|e| Fault::value(e, form))?;
        b.checks.push(Check::Quantity(Quantity::DceOpnum, n));
        return Ok(());
    }
    let range = |part: &&str| {
        let (a, z) = part.split_once('-').unwrap_or((part, part));
        let (a, z) = (a.trim().parse::<u16>().ok()?, z.trim().parse::<u16>().ok()?);
        (a <= z).then_some((a, z))
    };
    let all: Option<Vec<(u16, u16)>> = o.parts()?.iter().map(range).collect();
    b.checks.push(Check::DceOperation(all.ok_or_else(|| Fault::value("does not do", form))?));
    Ok(())
}
