//! Sets and reputations that rules name, out of their files in the peer's formats. In come the names of files, out come values in the
//! engine's memory, and what could not be read. Never: reads a file outside of the directories it is told, writes one.

use ips_detect::{Memory, Tables};
use serde_json::Value as Json;
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// Largest file of a set in bytes: a million texts of 60 bytes in base64.
const MAX_FILE: u64 = 256 << 20;

/// Loads every set that names a file. Files are looked for in these directories, in order.
pub fn load(tables: &Tables, memory: &mut Memory, directories: &[PathBuf]) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, set) in tables.sets().iter().enumerate() {
        let named = set.settings.iter().find(|(k, _)| k == "load").or(set.settings.iter().find(|(k, _)| k == "state"));
        let Some((how, name)) = named else { continue };
        let kind = set.kind.as_deref().unwrap_or("string");
        let setting = |key: &str| set.settings.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        if setting("match") == Some("subdomain") {
            memory.match_subdomains(index);
        }
        match read(name, directories) {
            Ok(text) if setting("format").is_some_and(|f| f != "csv") => {
                let keys = Keys {
                    value: setting("value_key").unwrap_or("value"),
                    list: setting("array_key"),
                    remove: setting("remove_key").is_some(),
                };
                match known(kind, &text, setting("format") == Some("json"), &keys) {
                    Ok(values) => memory.load_known(index, values),
                    Err(e) => faults.push(format!("{name}: {e}")),
                }
            }
            Ok(text) => {
                let values: Vec<_> = text
                    .lines()
                    .map(str::trim)
                    .filter(|l| !l.is_empty() && !l.starts_with('#'))
                    .filter_map(|l| {
                        let found = value(kind, l);
                        if found.is_none() {
                            faults.push(format!("{name}: `{l}` is no {kind}"));
                        }
                        found
                    })
                    .collect();
                memory.load(index, values);
            }
            // What a rule keeps its state in need not be there yet.
            Err(_) if how == "state" => {}
            Err(e) => faults.push(e),
        }
    }
    faults
}

/// Where in an object a value stands.
struct Keys<'a> {
    value: &'a str,
    list: Option<&'a str>,
    remove: bool,
}

/// A member of an object by a path with dots.
fn member<'a>(mut at: &'a Json, path: &str) -> Option<&'a Json> {
    for part in path.split('.') {
        at = at.get(part)?;
    }
    Some(at)
}

/// Values and what is known of them: objects in a list, or one in each line.
fn known(kind: &str, text: &str, whole: bool, keys: &Keys<'_>) -> Result<Vec<(Vec<u8>, String)>, String> {
    let objects: Vec<Json> = if whole {
        let all: Json = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let list = match keys.list {
            Some(path) => member(&all, path).ok_or_else(|| format!("there is no `{path}`"))?.clone(),
            None => all,
        };
        match list {
            Json::Array(all) => all,
            _ => return Err("there is no list".to_owned()),
        }
    } else {
        let lines = text.lines().filter(|l| !l.trim().is_empty());
        lines.map(|l| serde_json::from_str(l).map_err(|e| e.to_string())).collect::<Result<_, _>>()?
    };
    let mut out = Vec::new();
    for mut object in objects {
        let text = member(&object, keys.value).and_then(Json::as_str).ok_or_else(|| format!("an entry has no `{}`", keys.value))?;
        // A text stands as it is, not in Base64.
        let bytes =
            if kind == "string" { text.as_bytes().to_vec() } else { value(kind, text).ok_or_else(|| format!("`{text}` is no {kind}"))?.0 };
        if keys.remove
            && let Some(map) = object.as_object_mut()
        {
            map.remove(keys.value);
        }
        out.push((bytes, object.to_string()));
    }
    Ok(out)
}

fn read(name: &str, directories: &[PathBuf]) -> Result<String, String> {
    let path = Path::new(name);
    let inside = path.is_relative() && !path.components().any(|c| matches!(c, std::path::Component::ParentDir));
    let found = directories.iter().map(|d| d.join(path)).find(|p| inside && p.is_file());
    let Some(path) = found.or(path.is_absolute().then(|| path.to_owned())) else { return Err(format!("{name}: there is no such file")) };
    let size = fs::metadata(&path).map_err(|e| format!("{name}: {e}"))?.len();
    if size > MAX_FILE {
        return Err(format!("{name}: {size} bytes, at most {MAX_FILE} are read"));
    }
    fs::read_to_string(&path).map_err(|e| format!("{name}: {e}"))
}

/// A line: a value and, behind a comma, its reputation.
fn value(kind: &str, line: &str) -> Option<(Vec<u8>, Option<u16>)> {
    let (text, reputation) = match line.split_once(',') {
        Some((t, r)) => (t, Some(r.trim().parse().ok()?)),
        None => (line, None),
    };
    let bytes = match kind {
        "string" => base64(text)?,
        "md5" => hex(text).filter(|b| b.len() == 16)?,
        "sha256" => hex(text).filter(|b| b.len() == 32)?,
        "ipv4" | "ip" => match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(a) => a.octets().to_vec(),
            // One of IPv4 in the form of IPv6 is one of IPv4.
            IpAddr::V6(a) => a.to_ipv4_mapped().map_or_else(|| a.octets().to_vec(), |a| a.octets().to_vec()),
        },
        _ => return None,
    };
    Some((bytes, reputation))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let nibble = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|p| Some(nibble(p[0])? << 4 | nibble(p[1])?)).collect())?
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for b in text.bytes() {
        let six = ips_proto::base64::value(b)?;
        word = word << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(word >> bits & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Reputations of addresses: a file of categories (`NUMBER,NAME,TEXT`) and files of values (`ADDRESS[/LENGTH],CATEGORY,VALUE`).
pub fn reputations(tables: &Tables, memory: &mut Memory, categories: &str, values: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = |text: &str| -> Vec<Vec<String>> {
        let wanted = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        wanted.map(|l| l.split(',').map(|f| f.trim().to_owned()).collect()).collect()
    };
    let mut known: Vec<(String, usize)> = Vec::new();
    for row in rows(categories) {
        if let [number, name, ..] = &row[..]
            && let Some(at) = tables.categories().iter().position(|c| c == name)
        {
            known.push((number.clone(), at));
        }
    }
    for row in values.iter().flat_map(|t| rows(t)) {
        let parsed = match &row[..] {
            [address, number, value] => {
                let (ip, length) = address.split_once('/').map_or((address.as_str(), None), |(a, l)| (a, l.parse::<u8>().ok()));
                ip.parse::<IpAddr>().ok().zip(value.parse::<u8>().ok()).map(|(ip, v)| (ip, length, number, v))
            }
            _ => None,
        };
        match parsed {
            Some((ip, length, number, v)) => {
                let whole = if ip.is_ipv4() { 32 } else { 128 };
                for (_, at) in known.iter().filter(|(n, _)| n == number) {
                    memory.reputation(*at, ip, length.unwrap_or(whole), v);
                }
            }
            None => faults.push(format!("`{}` is no reputation", row.join(","))),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_kind() {
        assert_eq!(value("string", "aGVsbG8="), Some((b"hello".to_vec(), None)));
        assert_eq!(value("string", "aGVsbG8=,7"), Some((b"hello".to_vec(), Some(7))));
        assert_eq!(value("md5", "00112233445566778899aabbccddeeff").map(|v| v.0.len()), Some(16));
        assert_eq!(value("ip", "10.0.0.1"), Some((vec![10, 0, 0, 1], None)));
        assert_eq!((value("md5", "00"), value("string", "a%"), value("ip", "x"), value("string", "YQ==,x")), (None, None, None, None));
    }

    #[test]
    fn files_stay_in_their_directories() {
        let dir = tempfile::tempdir().expect("there is room");
        std::fs::write(dir.path().join("a.lst"), "YQ==\n").expect("it is written");
        let directories = [dir.path().to_owned()];
        assert_eq!(read("a.lst", &directories).as_deref(), Ok("YQ==\n"));
        assert!(read("../a.lst", &directories).is_err() && read("b.lst", &directories).is_err());
    }
}
