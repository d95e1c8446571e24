//! The clock that goes on while a machine sleeps and that nobody sets.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot, suspended time included: no clock change moves it.
pub fn boot_ms() -> u64 {
    let t = clock_gettime(ClockId::Boottime);
    let ms = i128::from(t.tv_sec) * 1000 + i128::from(t.tv_nsec) / 1_000_000;
    u64::try_from(ms).unwrap_or(0)
}
