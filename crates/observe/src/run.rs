//! Programs asked for their output. In come a program, arguments and input, out come its output or what it complained
//! about. Always in the plain locale, never through a shell.

use crate::Error;
use std::{
    io::{ErrorKind, Write},
    process::{Command, Stdio},
};

/// Most bytes of a complaint that are kept.
const COMPLAINT: usize = 2000;

/// Directories programs of administrators live in, where the caller's path leaves them out.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program and takes what it prints.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, Error> {
    with_input(program, arguments, "")
}

/// Runs a program with this input and takes what it prints.
pub fn with_input(program: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
    let failed = |why: String| Error::Program { program: program.to_owned(), why };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(if e.kind() == ErrorKind::NotFound { "not installed".into() } else { e.to_string() }))?;
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
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let complaint: String = String::from_utf8_lossy(&done.stderr).trim().chars().take(COMPLAINT).collect();
    Err(failed(if complaint.is_empty() { done.status.to_string() } else { complaint }))
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
}
