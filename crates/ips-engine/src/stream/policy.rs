//! Whose bytes count where segments overlap (Novak and Sturges, Target-Based TCP Stream Reassembly, 2007).

/// The system at whose receiving end the bytes arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the system of its name")]
pub enum Policy {
    #[default]
    Bsd,
    Windows,
    Windows2k3,
    Vista,
    MacOs,
    Irix,
    HpUx10,
    HpUx11,
    Solaris,
    Linux,
    OldLinux,
    First,
    Last,
}

impl Policy {
    /// By the peer's name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bsd" | "bsd-right" => Self::Bsd,
            "windows" => Self::Windows,
            "windows2k3" => Self::Windows2k3,
            "vista" => Self::Vista,
            "macos" => Self::MacOs,
            "irix" => Self::Irix,
            "hpux10" => Self::HpUx10,
            "hpux11" => Self::HpUx11,
            "solaris" => Self::Solaris,
            "linux" => Self::Linux,
            "old-linux" => Self::OldLinux,
            "first" => Self::First,
            "last" => Self::Last,
            _ => return None,
        })
    }

    /// Whether the bytes of a segment that came later count, where both brought some. Each segment: from, to.
    pub fn new_counts(self, old: (u64, u64), new: (u64, u64)) -> bool {
        match self {
            Self::First | Self::Vista => false,
            Self::Last => true,
            Self::Bsd | Self::Windows | Self::Windows2k3 | Self::MacOs | Self::Irix | Self::HpUx10 => new.0 < old.0,
            Self::Linux => new.0 < old.0 || new.0 == old.0 && new.1 > old.1,
            Self::OldLinux => new.0 <= old.0,
            Self::Solaris | Self::HpUx11 => new.0 < old.0 || new.1 > old.1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_as_it_is() {
        // The new segment begins earlier; at the same place and ends later; at the same place and ends there too; begins and ends later.
        let cases = [((2, 4), (0, 3)), ((0, 2), (0, 4)), ((0, 4), (0, 4)), ((0, 4), (2, 6))];
        for (policy, wanted) in [
            (Policy::Bsd, [true, false, false, false]),
            (Policy::Linux, [true, true, false, false]),
            (Policy::OldLinux, [true, true, true, false]),
            (Policy::Solaris, [true, true, false, true]),
            (Policy::First, [false; 4]),
            (Policy::Last, [true; 4]),
        ] {
            assert_eq!(cases.map(|(old, new)| policy.new_counts(old, new)), wanted, "{policy:?}");
        }
        assert_eq!(Policy::named("windows2k3"), Some(Policy::Windows2k3));
        assert_eq!(Policy::named("os2"), None);
    }
}
