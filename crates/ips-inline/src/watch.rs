//! The watchdog: packets that wait longer than anything should take. In come the pump's counts and a limit, out goes one call when a batch is
//! over it; whoever sets it up ends the process, so that the kernel's answer to failure holds instead of silence. Never: judges what the pump does.

use crate::{Error, count::Counts, notify};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// A batch is 64 packets at the most, each of which takes microseconds: a second means that the engine hangs.
pub const LIMIT: Duration = Duration::from_secs(1);
/// Looks per limit.
const LOOKS: u32 = 8;

/// For how long the batch under way has been waiting; `None` where none is.
pub fn waiting(counts: &Counts, epoch: Instant, now: Instant) -> Option<Duration> {
    let since = counts.busy_since.load(Relaxed);
    (since > 0).then(|| now.duration_since(epoch).saturating_sub(Duration::from_micros(since)))
}

/// Watches from a thread of its own. Tells systemd, where it asked, that packets do not wait.
///
/// # Errors
/// Where no thread is to be had.
pub fn begin(counts: Arc<Counts>, epoch: Instant, limit: Duration, hung: impl FnOnce(Duration) + Send + 'static) -> Result<(), Error> {
    let work = move || loop {
        std::thread::sleep(limit / LOOKS);
        match waiting(&counts, epoch, Instant::now()) {
            Some(waited) if waited > limit => return hung(waited),
            _ => notify::alive(),
        }
    };
    std::thread::Builder::new().name("watch".into()).spawn(work).map(drop).map_err(Error::io("start a thread"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_batch_that_takes_too_long_is_told_once_and_others_are_not() {
        let (counts, epoch) = (Arc::new(Counts::default()), Instant::now());
        let (tell, told) = mpsc::channel();
        begin(counts.clone(), epoch, Duration::from_millis(80), move |d| tell.send(d).expect("heard")).expect("begun");
        for _ in 0..20 {
            let since = u64::try_from(epoch.elapsed().as_micros()).expect("small").max(1);
            counts.busy_since.store(since, Relaxed);
            std::thread::sleep(Duration::from_millis(10));
            counts.busy_since.store(0, Relaxed);
        }
        assert!(told.try_recv().is_err(), "short ones are nothing");
        counts.busy_since.store(1, Relaxed);
        let waited = told.recv_timeout(Duration::from_secs(10)).expect("told");
        assert!(waited > Duration::from_millis(80));
        assert!(told.recv_timeout(Duration::from_millis(200)).is_err(), "once");
    }
}
