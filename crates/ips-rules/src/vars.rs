//! Variables of rule headers: address groups and port groups. In come the peer's YAML (`vars:`) or `KEY=VALUE` settings, out
//! comes [`Vars`]. Never: resolves anything; that is `group`'s.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Address groups of the peer's default configuration.
const ADDRESSES: [(&str, &str); 17] = [
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
    ("SSH_SERVERS", "$HOME_NET"),
    ("SIP_SERVERS", "$HOME_NET"),
];

/// Port groups of the peer's default configuration.
const PORTS: [(&str, &str); 11] = [
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
];

/// Where the variables stand in a configuration, for `KEY=VALUE` settings.
const ADDRESS_KEY: &str = "vars.address-groups.";
const PORT_KEY: &str = "vars.port-groups.";

/// Named groups, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vars {
    /// Address groups by name, without `$`.
    pub addresses: BTreeMap<String, String>,
    /// Port groups by name, without `$`.
    pub ports: BTreeMap<String, String>,
}

impl Default for Vars {
    /// The groups of the peer's default configuration.
    fn default() -> Self {
        let own = |list: &[(&str, &str)]| list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Self { addresses: own(&ADDRESSES), ports: own(&PORTS) }
    }
}

/// The part of the peer's configuration that is read here.
#[derive(Deserialize)]
struct File {
    vars: Option<Groups>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Groups {
    address_groups: Option<BTreeMap<String, Value>>,
    port_groups: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(u32),
    List(Vec<Value>),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Text(t) => t.clone(),
            Self::Number(n) => n.to_string(),
            Self::List(l) => format!("[{}]", l.iter().map(Value::text).collect::<Vec<_>>().join(",")),
        }
    }
}

impl Vars {
    /// Takes the groups of a configuration in the peer's form; those it does not name stay.
    ///
    /// # Errors
    /// Where the text is no YAML, or `vars` is no table of groups.
    pub fn take_yaml(&mut self, text: &str) -> Result<(), String> {
        // The reader wants YAML 1.2; the peer's file says 1.1 and uses nothing of it that differs here.
        let body: String = text.lines().filter(|l| !l.starts_with("%YAML")).flat_map(|l| [l, "\n"]).collect();
        let file: File = serde_saphyr::from_str(&body).map_err(|e| e.to_string())?;
        let groups = file.vars.unwrap_or(Groups { address_groups: None, port_groups: None });
        for (name, value) in groups.address_groups.unwrap_or_default() {
            self.addresses.insert(name, value.text());
        }
        for (name, value) in groups.port_groups.unwrap_or_default() {
            self.ports.insert(name, value.text());
        }
        Ok(())
    }

    /// Takes one setting, such as `vars.address-groups.HOME_NET=[10.0.0.0/8]`.
    ///
    /// # Errors
    /// Where it is no setting of a group.
    pub fn set(&mut self, setting: &str) -> Result<(), String> {
        let (key, value) = setting.split_once('=').ok_or_else(|| format!("`{setting}` has no `=`"))?;
        let (key, value) = (key.trim(), value.trim().to_owned());
        if let Some(name) = key.strip_prefix(ADDRESS_KEY) {
            self.addresses.insert(name.to_owned(), value);
        } else if let Some(name) = key.strip_prefix(PORT_KEY) {
            self.ports.insert(name.to_owned(), value);
        } else {
            return Err(format!("`{key}` is no group: rules read `{ADDRESS_KEY}NAME` and `{PORT_KEY}NAME`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_settings_are_taken() {
        let mut vars = Vars::default();
        vars.take_yaml("%YAML 1.1\n---\nvars:\n  address-groups:\n    HOME_NET: \"[10.0.0.0/8]\"\n  port-groups:\n    HTTP_PORTS: 8080\n    X: [1, \"2:3\"]\nother: {a: 1}\n").expect("it reads");
        assert_eq!((vars.addresses["HOME_NET"].as_str(), vars.ports["HTTP_PORTS"].as_str()), ("[10.0.0.0/8]", "8080"));
        assert_eq!(vars.ports["X"], "[1,2:3]");
        vars.set("vars.port-groups.SSH_PORTS = 2222").expect("it reads");
        assert_eq!(vars.ports["SSH_PORTS"], "2222");
        assert!(vars.set("outputs.0=1").is_err() && vars.set("x").is_err() && vars.take_yaml("vars: 3").is_err());
    }
}
