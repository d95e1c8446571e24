//! `cases DIRECTORY [--only TEXT] [--show]`: runs every case below the directory (see its README: `input.*`, `test.rules`, `expect.json`) and
//! prints how many pass, how many of those with alerts only, and what the others miss. `--captures RULES TSV DIRECTORY` runs rules over
//! captures and compares (capture, sid, count) rows. `--least N`, last: fails where fewer pass, or fewer rows are the same.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use ips_engine::settings::Checksums;
use ips_io::{config::Config, session::Session};
use ips_rules::{Set, Tables};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
};
use words::SourceFile;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let least = arguments.iter().position(|a| a == "--least").map_or(0, |at| {
        let given = arguments.split_off(at);
        given.get(1).and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
    });
    if run(&arguments) < least { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// How many pass.
fn run(arguments: &[String]) -> usize {
    if arguments.first().is_some_and(|a| a == "--captures") {
        return captures(&arguments[1..]);
    }
    let Some(directory) = arguments.first() else {
        println!("cases DIRECTORY [--only TEXT] [--show] [--least N]");
        return 0;
    };
    let only = arguments.iter().position(|a| a == "--only").and_then(|i| arguments.get(i + 1));
    let show = arguments.iter().any(|a| a == "--show");
    let mut names: Vec<PathBuf> = std::fs::read_dir(directory)
        .map(|d| d.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.join("expect.json").exists()).collect())
        .unwrap_or_default();
    names.sort();
    let (mut passed, mut all, mut alerts_passed, mut alerts_all, mut trusted_passed, mut trusted) = (0, 0, 0, 0, 0, 0);
    let mut groups: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for path in names {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if only.is_some_and(|o| !name.contains(o.as_str())) {
            continue;
        }
        let case = Case::read(&path);
        let faults = case.run(show);
        let ok = faults.is_empty();
        all += 1;
        passed += usize::from(ok);
        trusted += usize::from(case.trusted);
        trusted_passed += usize::from(case.trusted && ok);
        if case.alerts_only && case.trusted {
            alerts_all += 1;
            alerts_passed += usize::from(ok);
        }
        let group = groups.entry(name.split("--").next().unwrap_or(&name).split('-').next().unwrap_or(&name).to_owned()).or_default();
        group.0 += usize::from(ok);
        group.1 += 1;
        if !ok {
            println!("FAIL {name}{}{}", if case.alerts_only { " [alerts]" } else { "" }, if case.trusted { "" } else { " [doubtful]" });
            faults.iter().take(6).for_each(|f| println!("     {f}"));
        } else if show {
            println!("pass {name}");
        }
    }
    let worst: BTreeSet<(usize, String)> =
        groups.iter().filter(|(_, (ok, n))| ok < n).map(|(g, (ok, n))| (n - ok, format!("{g} {ok}/{n}"))).collect();
    println!("by name: {}", worst.iter().rev().map(|(_, t)| t.as_str()).collect::<Vec<_>>().join(", "));
    println!(
        "{passed} of {all} pass; of those the peer passes {trusted_passed} of {trusted}, with alerts only {alerts_passed} of {alerts_all}"
    );
    passed
}

struct Case {
    path: PathBuf,
    expect: Value,
    alerts_only: bool,
    trusted: bool,
}

impl Case {
    fn read(path: &Path) -> Self {
        let expect: Value = std::fs::read(path.join("expect.json")).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        let empty = |k: &str| expect[k].as_array().is_none_or(Vec::is_empty);
        let alerts_only = empty("events") && !empty("alerts");
        let trusted = expect["peer_8_0_8_passes"].as_bool().unwrap_or(true);
        Self { path: path.to_owned(), alerts_only, trusted, expect }
    }

    fn run(&self, show: bool) -> Vec<String> {
        let mut config = Config::default();
        let mut faults = Vec::new();
        let yaml = self.path.join("peer-config.yaml");
        if self.expect["own_config"].as_bool() == Some(true)
            && let Ok(text) = std::fs::read_to_string(&yaml)
            && let Err(e) = config.take_yaml(&text)
        {
            faults.push(format!("configuration: {e}"));
        }
        // What is wrong with settings is an event as well, which a case may ask for.
        let mut wrong: Vec<String> = Vec::new();
        let mut inline = false;
        let arguments = self.expect["args"].as_array().cloned().unwrap_or_default();
        let joined = arguments.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
        let mut words = joined.split_whitespace();
        while let Some(w) = words.next() {
            match w {
                "-k" if words.next() == Some("none") => {
                    config.engine.checksums = Checksums::Ignore;
                }
                "--simulate-ips" => inline = true,
                "--set" => {
                    let setting = words.next().unwrap_or("").replace("${TEST_DIR}", &self.path.display().to_string());
                    if setting == "stream.inline=true" || setting == "stream.inline=yes" {
                        inline = true;
                    } else if let Err(e) = config.set(&setting) {
                        wrong.push(e);
                    }
                }
                _ => {}
            }
        }
        let text = |p: &String| std::fs::read_to_string(p).unwrap_or_default();
        let reputation = (config.reputation_categories.as_ref().map(text), config.reputations.iter().map(text).collect::<Vec<_>>());
        if inline || config.engine.stream.inline {
            config.inline();
        }
        if let Err(e) = config.settle() {
            wrong.push(e);
        }
        let asked = |l: &str| self.expect[l].as_array().is_some_and(|l| l.iter().any(|w| w["match"]["event_type"] == "engine"));
        if !asked("events") && !asked("alerts") {
            faults.append(&mut wrong);
        }
        let mut tables = Tables::default();
        tables.vars = config.vars.clone();
        let beside = |name: &str| -> Option<SourceFile> {
            let own = self.path.join(name);
            let shared = self.path.join("../../rules").join(name);
            let path = if own.exists() { own } else { shared };
            std::fs::read(&path).ok().map(|b| SourceFile::new(path.display().to_string(), String::from_utf8_lossy(&b)))
        };
        if let Some(s) = beside("classification.config") {
            tables.take_classes(&s);
            config.eve.take_classes(&tables);
        }
        if let Some(s) =
            config.threshold.as_ref().and_then(|p| std::fs::read(p).ok()).map(|b| SourceFile::new("threshold", String::from_utf8_lossy(&b)))
        {
            config.detect.overrides = ips_rules::thresholds(&s, &tables.vars).0;
        }
        let rules: Vec<SourceFile> = std::fs::read(self.path.join("test.rules"))
            .map(|b| vec![SourceFile::new("test.rules", String::from_utf8_lossy(&b))])
            .unwrap_or_default();
        let set = Set::read(&rules, &tables);
        let rejected: Vec<String> = set
            .rejected
            .iter()
            .map(|r| {
                let why = r.reasons.iter().find(|f| f.diagnostic.is_error()).map(|f| f.diagnostic.message.to_string()).unwrap_or_default();
                format!("rule {:?} is not understood: {why}", r.sid)
            })
            .collect();
        let (mut session, refused) = Session::new(set.rules, rejected.len(), config, Vec::new());
        faults.extend(session.load_sets(std::slice::from_ref(&self.path)));
        if let Some(categories) = reputation.0 {
            faults.extend(session.load_reputations(&categories, &reputation.1));
        }
        let input = std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .filter_map(|e| e.ok().map(|e| e.path()))
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("input.pcap")));
        if let Some(input) = input
            && let Err(e) = session.capture(&input, &mut |_| true)
        {
            faults.push(e.to_string());
        }
        let mut events: Vec<Value> = match session.end() {
            Ok(end) => end
                .to
                .split(|b| *b == b'\n')
                .filter(|l| !l.is_empty())
                .map(|l| {
                    serde_json::from_slice(l).unwrap_or_else(|e| {
                        faults.push(format!("no JSON: {e}: {}", String::from_utf8_lossy(l)));
                        Value::Null
                    })
                })
                .collect(),
            Err(e) => {
                faults.push(e.to_string());
                Vec::new()
            }
        };
        events.extend(wrong.iter().filter_map(|e| serde_json::from_slice(&ips_io::eve::fault(0, "config", e)).ok()));
        if show {
            events.iter().for_each(|e| println!("{e}"));
            rejected.iter().for_each(|e| println!("{e}"));
        }
        for list in ["alerts", "events"] {
            for wanted in self.expect[list].as_array().into_iter().flatten() {
                if !applies(&wanted["requires"]) {
                    continue;
                }
                let count = wanted["count"].as_u64().unwrap_or(0);
                let found = events.iter().filter(|e| matches(e, &wanted["match"])).count() as u64;
                if found != count {
                    faults.push(format!("{found} instead of {count}: {}", wanted["match"]));
                }
            }
        }
        if !faults.is_empty() {
            faults.extend(rejected);
            faults.extend(refused.iter().map(|r| format!("rule {} is refused: {}", r.sid, r.why)));
        }
        faults
    }
}

/// A version's numbers.
fn version(text: &Value) -> Option<[u32; 3]> {
    let text = text.as_str().map_or_else(|| text.as_f64().map(|n| n.to_string()), |t| Some(t.to_owned()))?;
    let mut parts = text.split('.').map(|p| p.parse().unwrap_or(0));
    Some([parts.next()?, parts.next().unwrap_or(0), parts.next().unwrap_or(0)])
}

/// The version of the peer whose answers are held to be right.
const PEER: [u32; 3] = [8, 0, 8];

/// Whether an expectation is about a version of the peer such as 8.
fn applies(requires: &Value) -> bool {
    if version(&requires["min-version"]).is_some_and(|v| v > PEER) {
        return false;
    }
    let lt = requires["lt-version"].as_str().and_then(|v| v.split('.').next()).and_then(|v| v.parse::<u32>().ok());
    let version = requires["version"].as_str().and_then(|v| v.split('.').next()).and_then(|v| v.parse::<u32>().ok());
    lt.is_none_or(|v| v > 8) && version.is_none_or(|v| v == 8)
}

fn find<'a>(event: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(v) = event.get(path) {
        return Some(v);
    }
    let mut at = event;
    for part in path.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((n, i)) => (n, i.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        at = at.get(name)?;
        if let Some(i) = index {
            at = at.get(i)?;
        }
    }
    Some(at)
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Bool(a), Value::Number(b)) | (Value::Number(b), Value::Bool(a)) => b.as_i64() == Some(i64::from(*a)),
        (Value::Object(a), Value::Object(b)) => b.iter().all(|(k, v)| a.get(k).is_some_and(|f| same(f, v))),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) => a == b,
    }
}

fn matches(event: &Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_object() else { return false };
    wanted.iter().all(|(key, value)| match key.as_str() {
        "has-key" => value.as_str().is_some_and(|k| find(event, k).is_some()),
        "not-has-key" => value
            .as_array()
            .map_or_else(|| vec![value], |l| l.iter().collect())
            .iter()
            .all(|k| k.as_str().is_some_and(|k| find(event, k).is_none())),
        key => match key.rsplit_once(".__") {
            Some((path, how)) => {
                let Some(found) = find(event, path) else { return false };
                let (text, want) = (found.as_str().unwrap_or(""), value.as_str().unwrap_or(""));
                match how {
                    "len" => found.as_array().map(Vec::len).or(found.as_str().map(str::len)) == value.as_u64().map(|n| n as usize),
                    "startswith" => text.starts_with(want),
                    "endswith" => text.ends_with(want),
                    "contains" => text.contains(want) || found.as_array().is_some_and(|l| l.iter().any(|i| same(i, value))),
                    "find" => text.contains(want),
                    _ => false,
                }
            }
            None => find(event, key).map_or(value.is_null(), |f| same(f, value)),
        },
    })
}

/// Rules over captures, rows compared.
fn captures(arguments: &[String]) -> usize {
    let [rules, tsv, directory] = arguments else {
        println!("cases --captures RULES TSV DIRECTORY [--least N]");
        return 0;
    };
    let Ok(bytes) = std::fs::read(rules) else {
        println!("{rules}: cannot be read");
        return 0;
    };
    let source = SourceFile::new(rules.clone(), String::from_utf8_lossy(&bytes));
    let set = Set::read(&[source], &Tables::default());
    let mut wanted: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for line in std::fs::read_to_string(tsv).unwrap_or_default().lines().skip(1) {
        if let [capture, _, sid, count] = line.split('\t').collect::<Vec<_>>()[..] {
            wanted.insert((capture.to_owned(), sid.parse().unwrap_or(0)), count.parse().unwrap_or(0));
        }
    }
    let mut found: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut config = Config::default();
    config.engine.checksums = Checksums::Ignore;
    config.eve.kinds = vec!["alert".to_owned()];
    let (tables, refused) = ips_detect::Tables::build(set.rules, &config.detect);
    println!("{} rules, {} refused", tables.rules().len(), refused.len());
    let tables = std::sync::Arc::new(tables);
    for path in ips_io::capture::files(&[PathBuf::from(directory)]).unwrap_or_default() {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut engine = ips_engine::Engine::new(config.engine.clone(), tables.clone(), ips_proto::Parsers::new(config.parsers.clone()));
        let mut eve = ips_io::eve::Eve::new(Vec::new(), config.eve.clone());
        if let Err(e) = ips_io::capture::read(&path, &mut |f| {
            let _ = engine.frame(f.link, f.time, f.bytes, &mut eve);
            true
        }) {
            println!("{e}");
        }
        engine.finish(&mut eve);
        for line in eve.end().unwrap_or_default().split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let event: Value = serde_json::from_slice(line).unwrap_or_default();
            if let Some(sid) = event["alert"]["signature_id"].as_u64() {
                *found.entry((name.clone(), sid)).or_insert(0) += 1;
            }
        }
    }
    let keys: BTreeSet<&(String, u64)> = wanted.keys().chain(found.keys()).collect();
    let mut same = 0;
    for key in keys {
        let (w, f) = (wanted.get(key).copied().unwrap_or(0), found.get(key).copied().unwrap_or(0));
        if w == f {
            same += 1;
        } else {
            println!("{} {}: {f} instead of {w}", key.0, key.1);
        }
    }
    println!("{same} rows the same, of {} wanted", wanted.len());
    same
}
