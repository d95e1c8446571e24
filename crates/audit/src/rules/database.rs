//! Databases: who is believed, and who can listen on the way. In come pg_hba.conf and command lines, out come lines that let in
//! without a password or talk in the clear. Curio keeps keys in its database.

use super::prelude::*;

/// AUD096: PostgreSQL believes whoever comes over the network.
pub const TRUST: Rule = Rule {
    code: Code("AUD096"),
    title: "the database believes whoever connects",
    risk: Risk::High,
    needs: &[Source::Files],
    means: "who reaches the port is any role without a password, the superuser too; in Curio's database that is every key",
    fix: "scram-sha-256 instead of trust in pg_hba.conf; reload",
    reference: None,
    check: trust,
};

/// AUD097: YugabyteDB runs without authentication.
pub const YUGABYTE: Rule = Rule {
    code: Code("AUD097"),
    title: "YugabyteDB asks for no password",
    risk: Risk::High,
    needs: &[Source::Processes],
    means: "who reaches 5433 or 9042 reads Curio's tables: chain tokens, Ethereum keys, the secret that signs for every node",
    fix: "--ysql_enable_auth=true and --use_cassandra_authentication=true for yb-tserver, then change the yugabyte and cassandra passwords",
    reference: None,
    check: yugabyte,
};

/// AUD098: a database talks in the clear beyond this machine.
pub const CLEAR: Rule = Rule {
    code: Code("AUD098"),
    title: "the database talks in the clear",
    risk: Risk::Medium,
    needs: &[Source::Files, Source::Processes, Source::Sockets, Source::SocketOwners],
    means: "keys and tokens in its tables cross the network readable for every machine on the way",
    fix: "ssl = on (PostgreSQL), --use_client_to_server_encryption=true (YugabyteDB), and sslmode=verify-full at the clients",
    reference: None,
    check: clear,
};

fn trust(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for (file, line, text) in view.lines(|p| p.ends_with("/pg_hba.conf")) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [kind, _, _, address, ref rest @ ..] = words[..] else { continue };
        // Between address and method an old file has a netmask.
        let method = rest.iter().find(|w| !w.contains(['.', ':'])).copied().unwrap_or_default();
        if !kind.starts_with("host") || !["trust", "password"].contains(&method) {
            continue;
        }
        let here = address.starts_with("127.") || address.starts_with("::1") || address == "samehost" || address == "localhost";
        let world = ["0.0.0.0/0", "::/0", "all"].contains(&address);
        let seen = Seen::new("postgres", format!("{kind} from {address}: {method}")).at(file, line);
        out.push(match (method, here, world) {
            ("password", true, _) => continue,
            ("password", ..) | (_, true, _) => seen.risk(Risk::Medium),
            (_, _, true) => seen.risk(Risk::Critical),
            _ => seen,
        });
    }
    out
}

fn flag(p: &facts::Process, name: &str) -> Option<String> {
    let forms = [format!("--{name}="), format!("-{name}=")];
    p.argv.iter().rev().find_map(|a| forms.iter().find_map(|f| a.strip_prefix(f.as_str()).map(str::to_owned)))
}

fn yugabyte(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for p in view.facts.processes.iter().filter(|p| p.comm == "yb-tserver") {
        // A file of flags says more than the command line.
        if flag(p, "flagfile").is_some() {
            continue;
        }
        let missing: Vec<&str> =
            ["ysql_enable_auth", "use_cassandra_authentication"].into_iter().filter(|f| flag(p, f).as_deref() != Some("true")).collect();
        if !missing.is_empty() {
            out.push(Seen::new("yb-tserver", format!("pid {}: {} not set to true", p.pid, missing.join(" and "))));
        }
    }
    out
}

fn clear(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for r in view.running.iter().filter(|r| ["postgres", "yugabyte"].contains(&r.service.name.as_str())) {
        let Some((socket, _)) = r
            .listens
            .iter()
            .find(|(s, e)| e.is_some_and(|e| e.class == catalog::Class::Database) && view.reach(s.local.ip()) > Reach::Loopback)
        else {
            continue;
        };
        let off = if r.service.name.as_str() == "postgres" {
            let lines = view.lines(|p| p.ends_with("/postgresql.conf"));
            let ssl = lines.iter().rev().find(|(_, _, l)| l.split(['=', ' ', '\t']).next() == Some("ssl"));
            ssl.filter(|(_, _, l)| l.split_once('=').is_some_and(|(_, v)| v.split('#').next().unwrap_or_default().trim() == "off"))
                .map(|(file, line, _)| Seen::new("postgres", format!("{}: ssl = off", place(socket))).at(*file, *line))
        } else {
            let asked = r.process.comm == "yb-tserver" && flag(r.process, "flagfile").is_none();
            (asked && flag(r.process, "use_client_to_server_encryption").as_deref() != Some("true"))
                .then(|| Seen::new("yugabyte", format!("{}: use_client_to_server_encryption is not set", place(socket))))
        };
        out.extend(off);
    }
    out
}
