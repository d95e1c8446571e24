//! How often each rule was tried and matched, and where asked how long it took. Kept by each worker in its [`crate::Scratch`].

/// One rule's counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleStats {
    /// Held against something.
    pub checks: u64,
    /// Matched.
    pub matches: u64,
    /// Ticks of the caller's clock; 0 where none was given.
    pub ticks: u64,
}

/// Reads the caller's clock; the unit is the caller's.
pub type Clock = fn() -> u64;
