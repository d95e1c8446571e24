//! In which form an engine takes a narrower container. In come the engine's name and its version, out comes the form. Never: a
//! form that the engine might not read; a plain unit is read by every systemd.

use serde::Serialize;

/// First Podman whose systemd generator reads Quadlets (Debian 12 has 4.3.1).
pub const FIRST_WITH_QUADLETS: (u32, u32) = (4, 4);

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// An override beside a compose file.
    Compose,
    /// `NAME.container`, which Podman's generator makes a unit of.
    Quadlet,
    /// `NAME.service`, which runs Podman itself.
    Unit,
}

impl Form {
    /// The form for a container of this engine. Where Podman's version is not known it is a unit.
    pub fn of(engine: &str, podman: Option<&str>) -> Self {
        match engine {
            "podman" if podman.and_then(number).is_some_and(|v| v >= FIRST_WITH_QUADLETS) => Self::Quadlet,
            "podman" => Self::Unit,
            _ => Self::Compose,
        }
    }
}

/// `4.3.1` is 4 and 3, `5.0-dev` is 5 and 0.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-', '+', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadlets_are_for_those_who_read_them() {
        for (version, form) in [
            (Some("4.3.1"), Form::Unit),
            (Some("4.4.0"), Form::Quadlet),
            (Some("4.4-rc1"), Form::Quadlet),
            (Some("5.0.0-dev"), Form::Quadlet),
            (Some("10.0"), Form::Quadlet),
            (Some("3.9"), Form::Unit),
            (Some("new"), Form::Unit),
            (None, Form::Unit),
        ] {
            assert_eq!(Form::of("podman", version), form, "{version:?}");
        }
        assert_eq!(Form::of("docker", Some("4.9")), Form::Compose);
    }
}
