//! How people log in as an account, and how nobody does. In come lines of passwd and shadow, out comes an account's door. Pure. The
//! account runs its units all the same: neither its shell nor its end counts for `User=`.

use bundle::file::NO_SHELL;
use serde::{Deserialize, Serialize};

/// Day of the account's end, counted from 1970-01-01: keys and passwords are refused after it, also for logins that want no shell, such as
/// forwarded ports (sshd's `allowed_user`, pam_unix). 0 means no end in some implementations (shadow(5)).
const OVER: &str = "1";

/// An account's door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    /// Login shell.
    pub shell: String,
    /// Day of the account's end, counted from 1970-01-01; empty where there is none.
    pub ends: String,
}

impl Door {
    /// Nobody comes in.
    pub fn closed() -> Self {
        Self { shell: NO_SHELL.to_owned(), ends: OVER.to_owned() }
    }

    /// The door of an account; `None` where one of the files does not have it.
    pub fn of(account: &str, passwd: &str, shadow: &str) -> Option<Self> {
        let field = |text: &str, number: usize| Some((*entry(text, account)?.get(number)?).to_owned());
        Some(Self { shell: field(passwd, 6)?, ends: field(shadow, 7)? })
    }
}

/// Fields of the line of passwd, shadow or group that begins with this name.
pub(crate) fn entry<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    text.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_is_read_from_both_files_or_not_at_all() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nlotus:x:1000:1000:,,,:/home/lotus:/bin/zsh\n";
        let shadow = "root:*:19000:0:99999:7:::\nlotus:$y$x:19000:0:99999:7::20000:\nshort:x\n";
        assert_eq!(Door::of("lotus", passwd, shadow), Some(Door { shell: "/bin/zsh".into(), ends: "20000".into() }));
        assert_eq!(Door::of("root", passwd, shadow).map(|d| d.ends), Some(String::new()));
        assert_eq!(Door::of("lot", passwd, shadow), None);
        assert_eq!(Door::of("short", "short:x:1:1::/:/bin/sh\n", shadow), None);
    }
}
