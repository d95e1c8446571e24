//! Programs asked for their output. In come a program, arguments and input, out come its output or what it complained
//! about. Always in the plain locale, never through a shell. Who may not wait for ever asks with [`within`].

use crate::Error;
use std::{
    io::{ErrorKind, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

/// Most bytes of a complaint that are kept.
const COMPLAINT: usize = 2000;

/// Directories programs of administrators live in, where the caller's path leaves them out.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Between two looks whether a program is done.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a program and takes what it prints.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, Error> {
    with_input(program, arguments, "")
}

/// Runs a program with this input and takes what it prints.
pub fn with_input(program: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
    let failed = |why: String| Error::Program { program: program.to_owned(), why };
    let mut command = prepared(program, arguments, &[]);
    let mut child =
        command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() }).spawn().map_err(|e| failed(unstarted(&e)))?;
    let stdin = child.stdin.take();
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A program that ends before it has read everything says why itself.
            if let Some(mut stdin) = stdin {
                let _ = stdin.write_all(input.as_bytes());
            }
        });
        child.wait_with_output()
    });
    let done = done.map_err(|e| failed(e.to_string()))?;
    judged(done.status, &done.stdout, &done.stderr).map_err(failed)
}

/// Runs a program with these variables besides and takes what it prints. One that is not done within `limit`, or whose output does not
/// end by then, is killed and is an error: what it had begun in another process may go on.
pub fn within(limit: Duration, variables: &[(&str, &str)], program: &str, arguments: &[&str]) -> Result<String, Error> {
    let failed = |why: String| Error::Program { program: program.to_owned(), why };
    let until = Instant::now() + limit;
    let mut child = prepared(program, arguments, variables).stdin(Stdio::null()).spawn().map_err(|e| failed(unstarted(&e)))?;
    // Never joined: somebody it started may hold its output open for ever.
    let (stdout, stderr) = (gathered(child.stdout.take()), gathered(child.stderr.take()));
    let ended = ends(&mut child, until).map_err(|e| failed(e.to_string()))?;
    let left = || until.saturating_duration_since(Instant::now()).max(LOOK);
    let said = ended.and_then(|status| Some((status, stdout.recv_timeout(left()).ok()?, stderr.recv_timeout(left()).ok()?)));
    match said {
        Some((status, stdout, stderr)) => judged(status, &stdout, &stderr).map_err(failed),
        None => Err(failed(format!("`{}` is not done after {} s: given up", arguments.join(" "), limit.as_secs_f32()))),
    }
}

fn prepared(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C").envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn unstarted(e: &std::io::Error) -> String {
    if e.kind() == ErrorKind::NotFound { "not installed".into() } else { e.to_string() }
}

/// How it ended; nothing where it had to be killed.
fn ends(child: &mut Child, until: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            return child.wait().map(|_| None);
        }
        std::thread::sleep(LOOK);
    }
}

/// All of an output, once it ends.
fn gathered(from: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut all = Vec::new();
        // What was read before an error is what there is; nobody waits any more where sending fails.
        let _ = from.map(|mut f| f.read_to_end(&mut all));
        let _ = sender.send(all);
    });
    receiver
}

fn judged(status: ExitStatus, stdout: &[u8], stderr: &[u8]) -> Result<String, String> {
    if status.success() {
        return Ok(String::from_utf8_lossy(stdout).into_owned());
    }
    let complaint: String = String::from_utf8_lossy(stderr).trim().chars().take(COMPLAINT).collect();
    Err(if complaint.is_empty() { status.to_string() } else { complaint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_or_complaint() {
        assert_eq!(with_input("cat", &[], "x").expect("echoes"), "x");
        let why = output("cat", &["/no/such/file"]).expect_err("fails").to_string();
        assert!(why.contains("No such file"), "{why}");
        assert!(output("no-such-program-here", &[]).expect_err("fails").to_string().contains("not installed"));
        // Larger than a pipe holds, in both directions.
        let large = "y".repeat(1 << 20);
        assert_eq!(with_input("cat", &[], &large).expect("echoes").len(), large.len());
    }

    #[test]
    fn nobody_is_waited_for_longer_than_was_said() {
        let limit = Duration::from_millis(300);
        let begun = Instant::now();
        // The second leaves somebody behind who holds its output open.
        for (program, arguments) in [("sleep", vec!["60"]), ("sh", vec!["-c", "sleep 60 & exit 0"])] {
            let why = within(limit, &[], program, &arguments).expect_err("given up").to_string();
            assert!(why.contains("not done after 0.3 s"), "{why}");
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let long = Duration::from_secs(60);
        assert_eq!(within(long, &[("SAID", "x")], "sh", &["-c", "echo $SAID"]).expect("echoes"), "x\n");
        let why = within(long, &[], "cat", &["/no/such/file"]).expect_err("fails").to_string();
        assert!(why.contains("No such file"), "{why}");
        assert!(within(long, &[], "no-such-program-here", &[]).expect_err("fails").to_string().contains("not installed"));
        assert_eq!(within(long, &[], "head", &["-c", "1048576", "/dev/zero"]).expect("prints").len(), 1 << 20);
    }
}
