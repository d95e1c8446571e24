//! A program in bounded time and size. In comes a command with its input, out comes how it ended. Past its time its whole process group is
//! killed; of what it prints no more than a stated amount is kept. Never: waits for anybody the program left behind.

use super::Unreachable;
use crate::ask::Answer;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

/// Bytes of standard output that are kept: the facts of a machine with 100,000 connections have some ten million.
pub const MOST_OUTPUT: u64 = 64 << 20;
/// Bytes of standard error that are kept.
pub const MOST_ERROR: u64 = 16 << 10;
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How long output may come after the end: somebody it started may hold it open.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// Runs it.
pub fn run(mut command: Command, input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
    let until = Instant::now() + within;
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|e| Unreachable(format!("{name} does not start: {e}")))?;
    feed(&mut child, input.to_vec());
    let (stdout, stderr) = (gather(child.stdout.take(), MOST_OUTPUT), gather(child.stderr.take(), MOST_ERROR));
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(None) => break None,
            Err(e) => return Err(Unreachable(format!("{name}: {e}"))),
        }
    };
    let Some(status) = ended else {
        end(&mut child);
        return Err(Unreachable(format!("no answer within {} s", within.as_secs_f32())));
    };
    let left = || until.saturating_duration_since(Instant::now()).max(AFTERWARDS);
    let stdout = stdout.recv_timeout(left()).map_err(|_| Unreachable(format!("{name} ended and its output did not")))?;
    let stderr = stderr.recv_timeout(AFTERWARDS).unwrap_or_default();
    Ok(Answer { status: status.code(), stdout, stderr })
}

/// Never joined: a program that stops reading says why itself.
fn feed(child: &mut Child, input: Vec<u8>) {
    if let Some(mut pipe) = child.stdin.take() {
        std::thread::spawn(move || drop(pipe.write_all(&input)));
    }
}

/// Never joined either. What is too much is read and thrown away, so that the program ends.
fn gather(pipe: Option<impl Read + Send + 'static>, most: u64) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(most).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        let _ = sender.send(kept);
    });
    receiver
}

fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_it_says_is_told_apart_and_bounded() {
        let said = run(shell("cat; echo trouble >&2; exit 7"), b"words", Duration::from_secs(20)).expect("ends");
        assert_eq!((said.status, said.stdout.as_slice(), said.stderr.as_slice()), (Some(7), &b"words"[..], &b"trouble\n"[..]));
        let much = run(shell("head -c 100000 /dev/zero >&2"), b"", Duration::from_secs(20)).expect("ends");
        assert_eq!(much.stderr.len() as u64, MOST_ERROR);
        assert_eq!(run(shell("kill -9 $$"), b"", Duration::from_secs(20)).expect("ends").status, None);
    }

    #[test]
    fn past_its_time_it_is_ended_with_all_it_started() {
        let begun = Instant::now();
        let said = run(shell("sleep 1000 & sleep 1000"), b"", Duration::from_millis(300));
        assert!(said.is_err_and(|e| e.0.contains("no answer within 0.3 s")));
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(run(Command::new("/no/such/program"), b"", Duration::from_secs(1)).is_err_and(|e| e.0.contains("does not start")));
    }
}
