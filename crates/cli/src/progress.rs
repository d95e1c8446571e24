//! Progress on the terminal. In comes work, out comes its result; a line on standard error turns up when the work takes longer
//! than a second. Never: writes where standard error is no terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::{sync::mpsc, thread, time::Duration};

/// Work shorter than this shows nothing: a flicker helps nobody.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the line moves.
const TICK: Duration = Duration::from_millis(120);

/// Does the work, and says what it is if that takes long.
pub fn during<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                    bar.set_style(style);
                }
                bar.set_message(what);
                bar.enable_steady_tick(TICK);
                let _ = wait.recv();
                bar.finish_and_clear();
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// A bar over bytes, on standard error; nothing where that is no terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// For so many bytes; 0 where that is not known.
    pub fn new(total: u64) -> Self {
        let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes} of {total_bytes} {bytes_per_sec} {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }
    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }
    /// Away with it.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
