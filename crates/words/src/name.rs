//! Names: in comes text, out comes a name that is safe in a file name, an nft comment, a unit name and a log line.
//! A name is 1 to 63 bytes of `a-z 0-9 - _ .`, beginning with a letter or digit. Never: spaces, quotes, slashes.

use std::{fmt, sync::Arc};

/// Longest name in bytes: a DNS label, and well below nft's 128 byte comments.
pub const MAX_NAME: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than [`MAX_NAME`].
    #[error("a name has at most {MAX_NAME} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that is unsafe in one of the places names go to.
    #[error("`{0}` may not stand in a name: use a-z, 0-9, `-`, `_`, `.`")]
    Bad(char),
    /// A name begins with a letter or digit.
    #[error("a name begins with a letter or a digit")]
    Start,
}

fn check(text: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong(text.len()));
    }
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(*c))) {
        return Err(NameError::Bad(bad));
    }
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return Err(NameError::Start);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The checked name, or why the text is none.
            pub fn new(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name!(
    /// A zone, that is a VLAN, or `internet`.
    ZoneName
);
name!(
    /// A machine.
    HostName
);
name!(
    /// A group of machines.
    GroupName
);
name!(
    /// A kind of service in the catalogue, e.g. `lotus-miner`.
    ServiceName
);
name!(
    /// One listening place of a service, e.g. `api`.
    EndpointName
);
name!(
    /// One running copy of a service on a host; equals the service's name where there is only one.
    InstanceName
);
name!(
    /// A Unix account.
    AccountName
);
name!(
    /// A signing key: whose it is, e.g. `alice` or `alice-token`.
    KeyName
);

impl ZoneName {
    /// The zone that always exists: everything outside.
    pub const INTERNET: &str = "internet";

    /// The `internet` zone's name.
    pub fn internet() -> Self {
        Self(Self::INTERNET.into())
    }
    /// Whether this is the zone that stands for everything outside.
    pub fn is_internet(&self) -> bool {
        self.as_str() == Self::INTERNET
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere_they_go() {
        assert!(ZoneName::new("fw-a").is_ok());
        assert!(ZoneName::new("10g.core_1").is_ok());
        assert_eq!(ZoneName::new(""), Err(NameError::Empty));
        assert_eq!(ZoneName::new("a b"), Err(NameError::Bad(' ')));
        assert_eq!(ZoneName::new("A"), Err(NameError::Bad('A')));
        assert_eq!(ZoneName::new("-a"), Err(NameError::Start));
        assert_eq!(ZoneName::new(&"a".repeat(64)), Err(NameError::TooLong(64)));
    }
}
