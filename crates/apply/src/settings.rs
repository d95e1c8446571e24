//! Kernel settings under `/proc/sys`. In come names and values, out come the values that were there and notes about those
//! that this kernel or namespace does not have.

use crate::Error;
use bundle::Setting;
use std::{collections::BTreeMap, fs, io, path::PathBuf};

/// Values by name; `None` where the setting is not there.
pub type Values = BTreeMap<String, Option<String>>;

/// Where a setting lies. A device's name may hold dots, written as slashes the way sysctl does.
fn path(name: &str) -> Option<PathBuf> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b));
    let parts: Vec<String> = name.split('.').map(|part| part.replace('/', ".")).collect();
    let escapes = parts.iter().any(|p| p.is_empty() || p == "." || p == "..");
    (plain && !escapes).then(|| PathBuf::from("/proc/sys").join(parts.join("/")))
}

/// The value now; `None` where the setting is not there or not readable.
pub fn get(name: &str) -> Option<String> {
    fs::read_to_string(path(name)?).ok().map(|v| normal(&v))
}

/// The values now of all these.
pub fn get_all<'a>(names: impl IntoIterator<Item = &'a str>) -> Values {
    names.into_iter().map(|n| (n.to_owned(), get(n))).collect()
}

/// Writes them and reads each back. Out come notes about settings that do not exist here and need not.
pub fn set_all(settings: &BTreeMap<&str, &Setting>) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    for (&name, setting) in settings {
        if holds(setting, get(name)) {
            continue;
        }
        if let Err(why) = set(name, &setting.value) {
            if setting.required {
                return Err(Error::Setting { name: name.to_owned(), value: setting.value.clone(), why });
            }
            notes.push(format!("{name} stays {}: {why}", get(name).unwrap_or_else(|| "absent".into())));
        }
    }
    Ok(notes)
}

/// Puts old values back; those that were not there stay as they are. Out come the names that would not.
pub fn restore(values: &Values) -> Vec<String> {
    let old = values.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    old.filter(|(name, value)| get(name).as_ref() != Some(value))
        .filter_map(|(name, value)| set(name, value).err().map(|why| format!("{name}: {why}")))
        .collect()
}

/// Settings that do not hold what was meant; those that need not exist are left out where they do not.
pub fn differences(settings: &BTreeMap<&str, &Setting>) -> Vec<String> {
    settings
        .iter()
        .filter_map(|(&name, setting)| match get(name) {
            is if holds(setting, is.clone()) => None,
            Some(is) if setting.required => Some(format!("{name} is {is}, not {}", setting.value)),
            None if setting.required => Some(format!("{name} is not there")),
            _ => None,
        })
        .collect()
}

/// Whether a value is what was meant.
fn holds(setting: &Setting, is: Option<String>) -> bool {
    let Some(is) = is else { return false };
    let number = |text: &str| text.parse::<u64>().ok();
    let enough = || matches!((number(&is), number(normal(&setting.value).as_str())), (Some(is), Some(least)) if is >= least);
    is == normal(&setting.value) || (setting.at_least && enough())
}

/// Writes one and reads it back.
pub(crate) fn set(name: &str, value: &str) -> Result<(), String> {
    let path = path(name).ok_or("not a setting's name")?;
    fs::write(&path, value).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "this kernel or namespace does not have it".to_owned(),
        _ => e.to_string(),
    })?;
    match get(name) {
        Some(is) if is == normal(value) => Ok(()),
        is => Err(format!("reads back as {}", is.unwrap_or_default())),
    }
}

/// Tabs, spaces and the last newline do not matter.
fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_number_is_enough_where_it_may_be() {
        let setting = |at_least| Setting { value: "262144".into(), at_least, required: false };
        let cases = [(true, "300000", true), (true, "100", false), (false, "300000", false), (false, "262144", true), (true, "x", false)];
        for (at_least, is, good) in cases {
            assert_eq!(holds(&setting(at_least), Some(is.into())), good, "{at_least} {is}");
        }
        assert!(!holds(&setting(true), None));
    }

    #[test]
    fn names_stay_under_proc_sys() {
        assert_eq!(path("net.ipv4.ip_forward"), Some("/proc/sys/net/ipv4/ip_forward".into()));
        assert_eq!(path("net.ipv4.conf.eth0/10.rp_filter"), Some("/proc/sys/net/ipv4/conf/eth0.10/rp_filter".into()));
        for bad in ["", "net..x", "net.//.x", "net./.x", "a b", "net.ipv4.\n"] {
            assert_eq!(path(bad), None, "{bad:?}");
        }
        assert!(get("kernel.ostype").is_some_and(|v| v == "Linux"));
    }
}
