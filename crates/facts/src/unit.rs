//! systemd units.

use serde::{Deserialize, Serialize};

/// A unit with its drop-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unit {
    /// Name, e.g. `lotus-daemon.service`.
    pub name: String,
    /// File, and drop-ins in the order in which they apply.
    pub files: Vec<String>,
    /// Directives of all these files in order, values redacted.
    pub directives: Vec<Directive>,
    /// Started at boot.
    pub enabled: bool,
    /// Has a process now.
    pub active: bool,
}

/// A line of a unit file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Directive {
    /// Section, e.g. `Service`.
    pub section: String,
    /// Key, e.g. `User`.
    pub key: String,
    /// Value, redacted; continued lines joined.
    pub value: String,
    /// File it stands in.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl Unit {
    /// The value in force of a directive that holds one value; an empty assignment resets it.
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let last = self.directives.iter().rev().find(|d| d.section == section && d.key == key)?;
        (!last.value.is_empty()).then_some(last.value.as_str())
    }
    /// The lines in force of a directive that adds up; an empty assignment resets the list.
    pub fn in_force(&self, section: &str, key: &str) -> Vec<&Directive> {
        let mut out = Vec::new();
        for d in self.directives.iter().filter(|d| d.section == section && d.key == key) {
            if d.value.is_empty() { out.clear() } else { out.push(d) }
        }
        out
    }
    /// Their values.
    pub fn all(&self, section: &str, key: &str) -> Vec<&str> {
        self.in_force(section, key).into_iter().map(|d| d.value.as_str()).collect()
    }
    /// Account it runs under; `None` is root.
    pub fn user(&self) -> Option<&str> {
        self.get("Service", "User")
    }
    /// Files its environment is read from.
    pub fn environment_files(&self) -> Vec<&str> {
        self.all("Service", "EnvironmentFile")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_assignment_resets() {
        let line =
            |key: &str, value: &str| Directive { section: "Service".into(), key: key.into(), value: value.into(), ..Directive::default() };
        let unit = Unit {
            directives: vec![
                line("User", "root"),
                line("EnvironmentFile", "/etc/a"),
                line("EnvironmentFile", ""),
                line("EnvironmentFile", "/etc/b"),
                line("User", "lotus"),
                line("Group", "x"),
                line("Group", ""),
            ],
            ..Unit::default()
        };
        assert_eq!(unit.user(), Some("lotus"));
        assert_eq!(unit.environment_files(), ["/etc/b"]);
        assert_eq!(unit.get("Service", "Group"), None);
    }
}
