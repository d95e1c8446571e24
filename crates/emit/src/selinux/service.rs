//! The module of one service. In comes its domain, out comes CIL: types, labels, ports, needs, and the assertions that hold
//! other domains out of its files and itself out of other ports. Never: common rules (they stand in `ravelin.cil`).

use super::cil::{comment, filecon, reason};
use catalog::Need;
use plan::selinux::{DomainPlan, FileKind, FileLabel, PortUse, Shape, SharedKind};
use std::{collections::BTreeSet, fmt::Write as _};
use words::Proto;

/// The module's text.
pub fn text(d: &DomainPlan) -> String {
    let mut out = String::new();
    comment(&mut out, &format!("{}: {}. Written by ravelin.", d.service, d.title));
    for o in &d.origins {
        comment(&mut out, &format!("  from {o}"));
    }
    domain(d, &mut out);
    for kind in d.kinds() {
        files(d, kind, &mut out);
    }
    shared(d, &mut out);
    needs(d, &mut out);
    ports(d, &mut out);
    assertions(d, &mut out);
    out
}

/// The module that makes the domain permissive: it denies nothing and logs what it would have.
pub fn permissive(d: &DomainPlan) -> String {
    format!("; {}: denies nothing yet, reports what it would. Removing this module enforces.\n(typepermissive {})\n", d.service, d.domain())
        + &d.tool().map(|t| format!("(typepermissive {t})\n")).unwrap_or_default()
}

fn domain(d: &DomainPlan, out: &mut String) {
    let (t, x) = (d.domain(), d.file(FileKind::Exec));
    let units = d.units.iter().cloned().collect::<Vec<_>>().join(", ");
    out.push('\n');
    comment(out, &format!("The domain: {units} enters it, and nothing else does."));
    let _ = writeln!(out, "(type {t})\n(typeattributeset ravelin_domain ({t}))");
    let _ = writeln!(out, "(type {x})\n(typeattributeset ravelin_exec ({x}))");
    for p in &d.programs {
        reason(out, &format!("program {}", p.path), &p.origins);
        out.push_str(&filecon(&p.path, p.shape, &x));
    }
    let _ = writeln!(out, "(call ravelin_entry ({t} {x}))");
    if d.programs.iter().any(|p| p.shape == Shape::Tree) {
        comment(out, "Programs of its own directory start each other.");
        let _ = writeln!(out, "(call ravelin_execute ({t} {x}))");
    }
    let tmp = d.tmp();
    out.push('\n');
    comment(out, "Temporary files and shared memory: seen by no other service.");
    let _ = writeln!(out, "(type {tmp})\n(typeattributeset ravelin_tmp ({tmp}))\n(call ravelin_manage ({t} {tmp}))");
    for on in ["tmp_t", "tmpfs_t"] {
        for class in ["file", "dir", "sock_file"] {
            let _ = writeln!(out, "(typetransition {t} {on} {class} {tmp})");
        }
        let _ = writeln!(out, "(allow {t} {on} (dir (getattr search open write add_name remove_name)))");
    }
}

fn attribute(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Exec => "ravelin_exec",
        FileKind::Data => "ravelin_data",
        FileKind::Keystore => "ravelin_keystore",
        FileKind::Token => "ravelin_token",
        FileKind::Config => "ravelin_config",
        FileKind::Environment => "ravelin_environment",
        FileKind::Log => "ravelin_log",
        FileKind::Runtime => "ravelin_runtime",
    }
}

fn files(d: &DomainPlan, kind: FileKind, out: &mut String) {
    let (t, name) = (d.domain(), d.file(kind));
    out.push('\n');
    let what = match kind {
        FileKind::Exec => "programs",
        FileKind::Data => "repository and state",
        FileKind::Keystore => "keys",
        FileKind::Token => "tokens",
        FileKind::Config => "configuration: read, never written; made on the first run, it is state until it is labelled",
        FileKind::Environment => "environment files: systemd reads them before the service starts, the service does not",
        FileKind::Log => "logs",
        FileKind::Runtime => "sockets and PID files",
    };
    comment(out, what);
    let _ = writeln!(out, "(type {name})\n(typeattributeset {} ({name}))", attribute(kind));
    let of: Vec<&FileLabel> = d.files.iter().filter(|f| f.kind == kind).collect();
    if of.iter().any(|f| f.write) {
        let _ = writeln!(out, "(call ravelin_manage ({t} {name}))");
    } else if kind != FileKind::Environment {
        let _ = writeln!(out, "(call ravelin_read ({t} {name}))");
    }
    for f in of {
        reason(out, &format!("{} {}", kind.word(), f.path), &f.origins);
        out.push_str(&filecon(&f.path, f.shape, &name));
        if let Some((parent, leaf)) = &f.made_in {
            let class = if f.shape == Shape::Tree { "dir" } else { "file" };
            let _ = writeln!(out, "(typetransition {t} {} {class} \"{leaf}\" {name})", d.file(*parent));
        }
    }
    if kind == FileKind::Runtime {
        let _ = writeln!(out, "(allow {t} var_run_t (dir (search write add_name remove_name)))");
        for class in ["dir", "file", "sock_file"] {
            let _ = writeln!(out, "(typetransition {t} var_run_t {class} {name})");
        }
    }
}

fn shared(d: &DomainPlan, out: &mut String) {
    for u in &d.uses {
        out.push('\n');
        reason(out, &u.why, &u.origins);
        let t = d.domain();
        if u.kind == SharedKind::LogDirectory {
            let _ = writeln!(out, "(allow {t} {} (dir (ioctl read write getattr lock open add_name remove_name search)))", u.name);
            let _ = writeln!(out, "(typetransition {t} {} file {})", u.name, d.file(FileKind::Log));
            continue;
        }
        let pattern = if u.write { "ravelin_manage" } else { "ravelin_read" };
        let _ = writeln!(out, "(call {pattern} ({t} {}))", u.name);
        if let Some(tool) = d.tool().filter(|_| u.kind == SharedKind::Store) {
            let _ = writeln!(out, "(call {pattern} ({tool} {}))", u.name);
        }
    }
}

fn needs(d: &DomainPlan, out: &mut String) {
    let t = d.domain();
    if let Some(tool) = d.tool() {
        out.push('\n');
        comment(out, "What it executes runs in a domain of its own: stores and temporary files, no key, no token, no network.");
        let _ = writeln!(out, "(type {tool})\n(typeattributeset ravelin_tool ({tool}))");
        let _ = writeln!(out, "(call ravelin_to_tool ({t} bin_t {tool}))");
        if d.has(Need::Shell).is_some() {
            let _ = writeln!(out, "(call ravelin_to_tool ({t} shell_exec_t {tool}))");
        }
        let _ = writeln!(out, "(call ravelin_manage ({tool} {}))", d.tmp());
    }
    for n in &d.needs {
        let attribute = match n.need {
            Need::Jit => "ravelin_need_jit",
            Need::Gpu => "ravelin_need_gpu",
            Need::Meminfo => "ravelin_need_meminfo",
            Need::Netlink => "ravelin_need_netlink",
            Need::CorePinning => "ravelin_need_core_pinning",
            Need::Hugepages => "ravelin_need_hugepages",
            Need::Memlock => "ravelin_need_memlock",
            Need::Vfio => "ravelin_need_vfio",
            Need::Exec => "ravelin_need_exec",
            Need::Shell => "ravelin_need_shell",
            Need::LowPort => "ravelin_need_low_port",
            Need::RawSocket => "ravelin_need_raw_socket",
            Need::Home => "ravelin_need_home",
            Need::SharedIpc => "ravelin_need_shared_ipc",
            // The tool may keep owners; caches have a type of their own.
            Need::Chown | Need::SharedTmp => continue,
        };
        let who = match (n.need, d.tool()) {
            (Need::Exec | Need::Shell, Some(tool)) => tool,
            _ => t.clone(),
        };
        out.push('\n');
        reason(out, &n.why, &n.origins);
        let _ = writeln!(out, "(typeattributeset {attribute} ({who}))");
    }
}

fn ports(d: &DomainPlan, out: &mut String) {
    let t = d.domain();
    for (uses, permission) in [(&d.binds, "name_bind"), (&d.connects, "name_connect")] {
        for u in uses {
            out.push('\n');
            reason(out, &format!("{}: {}", list(u), u.why), &u.origins);
            if !u.also.is_empty() {
                let also = u.also.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                comment(out, &format!("  {} belongs to the base policy and covers {also} as well", u.name));
            }
            let class = if u.proto == Proto::Udp { "udp_socket" } else { "tcp_socket" };
            let _ = writeln!(out, "(allow {t} {} ({class} ({permission})))", u.name);
        }
    }
    if let Some(any) = &d.dials_any {
        out.push('\n');
        reason(out, &format!("any public peer: {}", any.why), &any.origins);
        let _ = writeln!(out, "(typeattributeset ravelin_dials_any ({t}))");
    }
}

fn list(u: &PortUse) -> String {
    format!("{}/{}", u.ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(","), u.proto)
}

fn assertions(d: &DomainPlan, out: &mut String) {
    let (s, t) = (&d.stem, d.domain());
    let private: BTreeSet<String> = d.kinds().into_iter().map(|k| d.file(k)).chain([d.tmp()]).collect();
    let private = private.into_iter().collect::<Vec<_>>().join(" ");
    out.push('\n');
    comment(out, &format!("assert private-{s}: no other service touches its keys, tokens, configuration, state, logs"));
    let _ = writeln!(out, "(typeattribute ravelin_{s}_private)\n(typeattributeset ravelin_{s}_private ({private}))");
    let _ = writeln!(out, "(typeattribute ravelin_{s}_others)\n(typeattributeset ravelin_{s}_others (and (ravelin_domain) (not ({t}))))");
    let everything = "read write append create unlink rename link setattr execute map open";
    let _ = writeln!(out, "(neverallow ravelin_{s}_others ravelin_{s}_private (file ({everything})))");
    let _ =
        writeln!(out, "(neverallow ravelin_{s}_others ravelin_{s}_private (dir (read write add_name remove_name create rmdir rename)))");
    comment(out, &format!("assert processes-{s}: no other service traces, signals or starts it"));
    let _ = writeln!(out, "(neverallow ravelin_{s}_others {t} (process (transition dyntransition ptrace sigkill sigstop signal getattr)))");
    let _ = writeln!(out, "(neverallow ravelin_{s}_others {t} (unix_stream_socket (connectto)))");
    for (verb, permission, uses) in [("binds", "name_bind", &d.binds), ("connects", "name_connect", &d.connects)] {
        let what = if verb == "binds" { "it binds no port but its own" } else { "it connects to no port but its declared peers'" };
        comment(out, &format!("assert {verb}-{s}: {what}"));
        let names = (verb == "connects").then_some("dns_port_t");
        let own: BTreeSet<&str> = uses.iter().map(|u| u.name.as_str()).chain(names).collect();
        let mut terms = own.into_iter().collect::<Vec<_>>().join(" ");
        if verb == "connects" && d.dials_any.is_some() {
            terms = format!("or ({terms}) (ravelin_public_port)");
        }
        let _ = writeln!(out, "(typeattribute ravelin_{s}_never_{verb})");
        let set = if terms.is_empty() { "(port_type)".to_owned() } else { format!("(and (port_type) (not ({terms})))") };
        let _ = writeln!(out, "(typeattributeset ravelin_{s}_never_{verb} {set})");
        for class in ["tcp_socket", "udp_socket"] {
            if verb == "binds" || class == "tcp_socket" {
                let _ = writeln!(out, "(neverallow {t} ravelin_{s}_never_{verb} ({class} ({permission})))");
            }
        }
    }
}
