//! What is possible: a rule allows, denies, or does not speak of a question; where a part of it cannot be decided, more
//! than one of them is possible. In come outcomes of parts, out comes the outcome of the whole.

/// A set of possible outcomes, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome(u8);

impl Outcome {
    /// Allows.
    pub const ALLOW: Outcome = Outcome(1);
    /// Denies.
    pub const DENY: Outcome = Outcome(2);
    /// Does not speak of it.
    pub const SILENT: Outcome = Outcome(4);
    /// Matches, or does not.
    pub const PERHAPS: Outcome = Outcome(5);
    /// Anything.
    pub const ANYTHING: Outcome = Outcome(7);

    /// Either of two.
    pub fn or(self, other: Outcome) -> Outcome {
        Outcome(self.0 | other.0)
    }
    /// Matches or is silent.
    pub fn matches(yes: bool) -> Outcome {
        if yes { Outcome::ALLOW } else { Outcome::SILENT }
    }
    /// Whether `part` is among what is possible.
    pub fn may(self, part: Outcome) -> bool {
        self.0 & part.0 != 0
    }
    /// With a `!` before it.
    pub fn negated(self, negated: bool) -> Outcome {
        if !negated {
            return self;
        }
        Outcome((self.0 & 4) | ((self.0 & 1) << 1) | ((self.0 & 2) >> 1))
    }
    /// This one decides; where it may be silent, the next one does.
    pub fn then(self, next: impl FnOnce() -> Outcome) -> Outcome {
        if !self.may(Outcome::SILENT) {
            return self;
        }
        Outcome(self.0 & 3).or(next())
    }
    /// Holds only where a gate opens: where the gate may be shut, silence is possible, and where it must be, nothing else.
    pub fn behind(self, gate: Outcome) -> Outcome {
        match (gate.may(Outcome::ALLOW), gate == Outcome::ALLOW) {
            (_, true) => self,
            (true, _) => self.or(Outcome::SILENT),
            _ => Outcome::SILENT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_silent_asks_the_next() {
        assert_eq!(Outcome::ALLOW.then(|| Outcome::DENY), Outcome::ALLOW);
        assert_eq!(Outcome::SILENT.then(|| Outcome::DENY), Outcome::DENY);
        assert_eq!(Outcome::PERHAPS.then(|| Outcome::DENY), Outcome::ALLOW.or(Outcome::DENY));
        assert_eq!(Outcome::PERHAPS.negated(true), Outcome::DENY.or(Outcome::SILENT));
        assert_eq!(Outcome::ALLOW.behind(Outcome::DENY), Outcome::SILENT);
        assert_eq!(Outcome::DENY.behind(Outcome::PERHAPS), Outcome::DENY.or(Outcome::SILENT));
    }
}
