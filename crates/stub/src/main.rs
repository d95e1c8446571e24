//! The stand-in: `ravelin-stub` under the name of any daemon. In come a profile and, later, orders, both files named by the
//! environment; out come lines of JSON. Works, keeps its ports open as the daemon does, and does what is ordered as if somebody had
//! taken it over. Never: runs outside of a machine of the VM lab by itself: without a profile it does nothing.
#![expect(clippy::print_stdout, reason = "what it says is its output")]

mod act;
mod kernel;
mod takeover;
mod work;

use act::Stage;
use std::{process::ExitCode, time::Duration};
use stub::{ORDERS, PROFILE, Profile, Said, TRACED};

/// Between two looks for orders.
const LOOK: Duration = Duration::from_millis(200);
/// How long a tracer may take to come.
const TRACER_LOOKS: u32 = 600;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    // `ravelin-stub orders FILE`: the same actions without any service around them.
    if let [_, word, file] = arguments.as_slice()
        && word == "orders"
    {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        takeover::carry_out(&text);
        return ExitCode::SUCCESS;
    }
    let Some(path) = std::env::var_os(PROFILE) else {
        println!("{PROFILE} names no profile");
        return ExitCode::FAILURE;
    };
    let read = std::fs::read_to_string(&path).map_err(|e| e.to_string());
    let profile: Profile = match read.and_then(|t| serde_json::from_str(&t).map_err(|e| e.to_string())) {
        Ok(profile) => profile,
        Err(e) => {
            println!("{}: {e}", path.display());
            return ExitCode::FAILURE;
        }
    };
    if std::env::var_os(TRACED).is_some() {
        wait_for_a_tracer();
    }
    let mut stage = Stage::default();
    work::all(&profile, &mut stage);
    act::say(&Said::Done("work".into()));
    wait_for_orders()
}

fn wait_for_a_tracer() {
    for _ in 0..TRACER_LOOKS {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if status.lines().any(|l| l.strip_prefix("TracerPid:").is_some_and(|p| p.trim() != "0")) {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// A new list of orders has a new first line. What it holds open stays open.
fn wait_for_orders() -> ! {
    let mut last = String::new();
    loop {
        let text = std::env::var_os(ORDERS).and_then(|f| std::fs::read_to_string(f).ok()).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        // The last line says that the list is whole.
        if first != last && text.trim_end().ends_with("\nend") {
            first.clone_into(&mut last);
            takeover::carry_out(&text);
        }
        std::thread::sleep(LOOK);
    }
}
