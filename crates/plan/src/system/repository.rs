//! Where a service's repository is, and what says so. In come the plan's names for it, the unit and the machine, out comes a place with the
//! line that names it. Strongest first, as systemd and the daemons have it: a flag, a variable on the command line, the last environment
//! file, `Environment=`, the account's home. Never: takes a file that was not read for one that says nothing.

use super::types::DataPlan;
use facts::{Facts, Process, Unit};

/// Home of the service manager, which `%h` is in a unit of the system.
const MANAGER_HOME: &str = "/root";

/// What names a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    /// Nothing: it is where upstream has it.
    Nothing,
    /// `Environment=` of the unit.
    Environment,
    /// What wins over `Environment=`: its place, for people.
    Stronger(String),
    /// The running process has it, and nothing that was read says why.
    Process(u32),
}

/// A repository's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub path: String,
    pub says: Says,
}

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The service has none.
    None,
    /// Here.
    At(Repository),
    /// It could not be told; why, and what to do.
    Unknown(String),
}

impl Found {
    /// The place, where it is known.
    pub fn path(self) -> Option<String> {
        if let Self::At(r) = self { Some(r.path) } else { None }
    }
}

/// Where a unit's repository is now.
pub(crate) fn repository(data: &DataPlan, unit: &Unit, facts: &Facts) -> Found {
    let (Some(_), Some(default)) = (&data.repo, &data.repo_default) else { return Found::None };
    let names = Names::of(data);
    let running = facts.processes.iter().filter(|p| p.unit.as_deref() == Some(unit.name.as_str())).find_map(|p| names.running(p));
    let (named, unread) = names.in_unit(unit, facts);
    let home = home(unit, facts);
    let whole = |path: &str| match path.strip_prefix('~') {
        Some(rest) => home.as_ref().map(|h| format!("{h}{rest}")),
        None => Some(path.to_owned()),
    };
    let by_unit = match &named {
        Some((path, says)) => whole(path).map(|path| Repository { path, says: says.clone() }),
        None => whole(default).map(|path| Repository { path, says: Says::Nothing }),
    };
    let running = running.and_then(|(path, pid)| Some((whole(&path)?, pid)));
    match (by_unit, running) {
        (Some(r), Some((is, _))) if same(&r.path, &is) => Found::At(r),
        // What was not read may be what the process was told by.
        (_, Some((path, pid))) if named.is_none() => Found::At(Repository { path, says: Says::Process(pid) }),
        (Some(r), Some((is, pid))) => Found::Unknown(format!(
            "{} names {}, its process {pid} has {is}: restart it, then look again",
            r.says.place(&unit.name),
            r.path
        )),
        (Some(r), None) => match unread {
            Some(why) if !matches!(r.says, Says::Stronger(_)) => Found::Unknown(why),
            _ => Found::At(r),
        },
        (None, _) => Found::Unknown(format!("the account of {} is not in /etc/passwd", unit.name)),
    }
}

impl Says {
    /// For people.
    pub fn place(&self, unit: &str) -> String {
        match self {
            Self::Nothing => format!("nothing of {unit}"),
            Self::Environment => format!("Environment= of {unit}"),
            Self::Stronger(place) => place.clone(),
            Self::Process(pid) => format!("the environment of process {pid}"),
        }
    }
}

fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// Where this account lives: `HOME` of the unit, else of the account it starts as.
fn home(unit: &Unit, facts: &Facts) -> Option<String> {
    let user = unit.user().unwrap_or(super::fit::ROOT);
    let passwd = || facts.accounts.iter().find(|a| a.name == user || a.uid.to_string() == user).map(|a| a.home.clone());
    environment(unit, "HOME").or_else(passwd)
}

/// Names of a repository, strongest first in each list.
struct Names<'a> {
    flags: Vec<&'a str>,
    variables: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn of(data: &'a DataPlan) -> Self {
        let (flags, older): (Vec<_>, Vec<_>) = data.repo_also.iter().map(String::as_str).partition(|n| n.starts_with('-'));
        Self { flags, variables: data.repo_variable.as_deref().into_iter().chain(older).collect() }
    }

    /// What a running process was told.
    fn running(&self, p: &Process) -> Option<(String, u32)> {
        let arguments: Vec<&str> = p.argv.iter().map(String::as_str).collect();
        let by_variable = || self.variables.iter().find_map(|v| p.places.get(*v).cloned());
        Some((self.flag(&arguments).or_else(by_variable)?, p.pid))
    }

    /// The value of a flag: the last one counts.
    fn flag(&self, arguments: &[&str]) -> Option<String> {
        let one = |(n, word): (usize, &&str)| {
            let (name, value) = word.split_once('=').map_or((*word, None), |(n, v)| (n, Some(v)));
            // Go takes one dash or two.
            let known = self.flags.iter().any(|f| f.trim_start_matches('-') == name.trim_start_matches('-')) && name.starts_with('-');
            if known { value.or_else(|| arguments.get(n + 1).copied()).map(str::to_owned) } else { None }
        };
        arguments.iter().enumerate().filter_map(one).next_back()
    }

    /// What the unit names, with its line; and what of it could not be read.
    fn in_unit(&self, unit: &Unit, facts: &Facts) -> (Option<(String, Says)>, Option<String>) {
        for line in unit.in_force("Service", "ExecStart") {
            let words = words(&line.value);
            let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
            let place = |what: &str| Says::Stronger(format!("{}:{}: {what} in ExecStart=", line.file, line.line));
            if let Some(path) = self.flag(&arguments) {
                return (Some((path, place("a flag"))), None);
            }
            // `env NAME=VALUE daemon`
            let set = |v: &&str| words.iter().rev().find_map(|w| w.strip_prefix(v)?.strip_prefix('=').map(str::to_owned));
            if let Some((v, path)) = self.variables.iter().find_map(|v| Some((*v, set(v)?))) {
                return (Some((path, place(v))), None);
            }
        }
        let (files, unread) = files(unit, facts);
        for name in &self.variables {
            for (file, text) in files.iter().rev() {
                if let Some((line, path)) = assigned(text, name) {
                    return (Some((path, Says::Stronger(format!("{file}:{line}: {name}, in an environment file")))), unread);
                }
            }
            if let Some(path) = environment(unit, name) {
                return (Some((path, Says::Environment)), unread);
            }
        }
        (None, unread)
    }
}

/// Environment files that were read, in their order, and why one was not.
fn files<'a>(unit: &'a Unit, facts: &'a Facts) -> (Vec<(&'a str, &'a str)>, Option<String>) {
    let mut out = Vec::new();
    let mut unread = None;
    for file in unit.environment_files() {
        let path = file.trim_start_matches('-');
        match facts.file(path) {
            Some(facts::File { text: Some(text), .. }) => out.push((path, text.as_str())),
            None if file.starts_with('-') && !path.contains(['*', '?', '[']) => {}
            _ => {
                unread = Some(format!(
                    "{path}, an environment file of {}, could not be read and may name the repository: make it readable, or start the service \
                     and look again",
                    unit.name
                ));
            }
        }
    }
    (out, unread)
}

/// The last assignment of a variable in an environment file, with its line.
fn assigned(text: &str, name: &str) -> Option<(usize, String)> {
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with(['#', ';']));
    let found = lines.filter_map(|(n, l)| {
        let (key, value) = l.split_once('=')?;
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        let bare = bare.or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''))).unwrap_or(value);
        (key.trim() == name).then(|| (n + 1, bare.to_owned()))
    });
    found.last()
}

/// The value a unit's `Environment=` gives a variable: the last one counts.
fn environment(unit: &Unit, name: &str) -> Option<String> {
    let lines = unit.all("Service", "Environment");
    lines.iter().flat_map(|l| words(l)).rev().find_map(|w| w.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// Words of a line with quotes, backslashes and the manager's home as systemd has them.
fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') => word.extend(chars.next()),
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (Some(q), c) if q == c => quote = None,
            (None, ' ' | '\t') => {
                if begun || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        out.push(word);
    }
    out.iter().map(|w| w.replace("%h", MANAGER_HOME).replace("%%", "%")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Account, Directive, File};

    fn data() -> DataPlan {
        DataPlan {
            repo: Some("/data/miner".into()),
            repo_variable: Some("LOTUS_MINER_PATH".into()),
            repo_also: ["--miner-repo", "--storagerepo", "LOTUS_STORAGE_PATH"].map(str::to_owned).to_vec(),
            repo_default: Some("~/.lotusminer".into()),
            ..DataPlan::default()
        }
    }

    /// Arguments and environment of a process.
    type Runs<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

    /// Where it is with these lines, this environment file, and this process (arguments, environment).
    fn found(lines: &[(&str, &str)], file: Option<&str>, process: Option<Runs<'_>>) -> Found {
        let directive = |(n, (key, value)): (usize, &(&str, &str))| Directive {
            section: "Service".into(),
            key: (*key).into(),
            value: (*value).into(),
            file: "/etc/systemd/system/m.service".into(),
            line: u32::try_from(n).unwrap_or(0) + 1,
        };
        let unit = Unit { name: "m.service".into(), directives: lines.iter().enumerate().map(directive).collect(), ..Unit::default() };
        let process = process.map(|(argv, places)| Process {
            pid: 7,
            unit: Some("m.service".into()),
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            places: places.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            ..Process::default()
        });
        let facts = Facts {
            accounts: vec![Account { name: "root".into(), home: "/root".into(), ..Account::default() }],
            files: file.map(|t| File { path: "/etc/m.env".into(), text: Some(t.into()), ..File::default() }).into_iter().collect(),
            processes: process.into_iter().collect(),
            ..Facts::default()
        };
        repository(&data(), &unit, &facts)
    }

    fn at(path: &str, says: Says) -> Found {
        Found::At(Repository { path: path.into(), says })
    }

    const ENV: (&str, &str) = ("Environment", "LOTUS_MINER_PATH=/env");
    const FILE: (&str, &str) = ("EnvironmentFile", "-/etc/m.env");

    #[test]
    fn the_strongest_word_counts_and_is_cited() {
        let stronger = |place: &str| Says::Stronger(place.to_owned());
        assert_eq!(found(&[], None, None), at("/root/.lotusminer", Says::Nothing));
        assert_eq!(found(&[ENV], None, None), at("/env", Says::Environment));
        assert_eq!(found(&[("Environment", "LOTUS_STORAGE_PATH=/old")], None, None), at("/old", Says::Environment));
        assert_eq!(
            found(&[("Environment", "LOTUS_STORAGE_PATH=/old LOTUS_MINER_PATH=%h/x")], None, None),
            at("/root/x", Says::Environment)
        );
        let text = "# LOTUS_MINER_PATH=/no\nLOTUS_MINER_PATH=/first\nOTHER=1\nLOTUS_MINER_PATH=\"~/last one\"\n";
        let file = stronger("/etc/m.env:4: LOTUS_MINER_PATH, in an environment file");
        assert_eq!(found(&[FILE, ENV], Some(text), None), at("/root/last one", file), "whatever the order of the lines");
        assert_eq!(found(&[FILE, ENV], Some("LOTUS_MINER_PATHS=/x\n"), None), at("/env", Says::Environment));
        assert_eq!(found(&[FILE, ("EnvironmentFile", ""), ENV], Some(text), None), at("/env", Says::Environment), "reset");
        let exec = |value| found(&[("ExecStart", value), FILE, ENV], Some(text), None);
        let flag = stronger("/etc/systemd/system/m.service:1: a flag in ExecStart=");
        assert_eq!(exec("/usr/bin/lotus-miner --miner-repo=/flag run"), at("/flag", flag.clone()));
        assert_eq!(exec("/usr/bin/lotus-miner -storagerepo /flag run"), at("/flag", flag.clone()));
        let wrapped = stronger("/etc/systemd/system/m.service:1: LOTUS_MINER_PATH in ExecStart=");
        assert_eq!(exec("/usr/bin/env LOTUS_MINER_PATH=/word lotus-miner run"), at("/word", wrapped));
        // Another service's repository is not this one's.
        assert!(matches!(exec("/usr/bin/lotus-miner --repo=/lotus run"), Found::At(r) if r.path == "/root/last one"));
    }

    #[test]
    fn the_running_process_is_believed_before_the_default_and_asked_about_before_a_move() {
        let running: fn(&'static [(&'static str, &'static str)]) -> _ = |places| Some((&["lotus-miner", "run"][..], places));
        assert_eq!(found(&[ENV], None, running(&[("LOTUS_MINER_PATH", "/env/")])), at("/env", Says::Environment));
        assert_eq!(found(&[], None, running(&[("LOTUS_MINER_PATH", "/wrapped")])), at("/wrapped", Says::Process(7)));
        assert_eq!(found(&[], None, running(&[])), at("/root/.lotusminer", Says::Nothing));
        let restart = found(&[ENV], None, running(&[("LOTUS_MINER_PATH", "/before")]));
        assert!(matches!(&restart, Found::Unknown(why) if why.contains("its process 7 has /before: restart it")), "{restart:?}");
        let arguments = &["lotus-miner", "--miner-repo", "/flag", "run"];
        let by_flag = found(&[], None, Some((arguments, &[("LOTUS_MINER_PATH", "/env")])));
        assert_eq!(by_flag, at("/flag", Says::Process(7)));
    }

    #[test]
    fn a_file_that_was_not_read_may_say_anything() {
        let needed = ("EnvironmentFile", "/etc/m.env");
        assert!(matches!(found(&[needed, ENV], None, None), Found::Unknown(why) if why.contains("/etc/m.env")));
        assert_eq!(found(&[FILE, ENV], None, None), at("/env", Says::Environment), "one that may be missing is");
        assert!(matches!(found(&[("EnvironmentFile", "-/etc/m/*.env"), ENV], None, None), Found::Unknown(_)));
        // What runs shows what it said.
        let told: Runs<'_> = (&["lotus-miner"], &[("LOTUS_MINER_PATH", "/env")]);
        assert_eq!(found(&[needed, ENV], None, Some(told)), at("/env", Says::Environment));
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words(r#""A=b c" D=e 'F=g h' I=\"j"#), ["A=b c", "D=e", "F=g h", "I=\"j"]);
        assert_eq!(words(r#"  "" x"#), ["", "x"]);
    }
}
