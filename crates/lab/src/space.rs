//! One node's network namespace: run a closure or a program in it.
//!
//! A socket stays in the namespace it was made in, so one process can listen and probe everywhere: closures run on a
//! short-lived thread that has moved there. Never: moves the calling thread.

use crate::{enter::NETNS_DIR, error::LabError};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    fs::File,
    io::Write,
    os::fd::AsFd,
    process::{Command, Output, Stdio},
};

/// A network namespace of the lab.
#[derive(Debug)]
pub struct Space {
    name: String,
    handle: File,
}

impl Space {
    /// Opens a named namespace.
    pub fn open(name: &str) -> Result<Self, LabError> {
        let path = format!("{NETNS_DIR}/{name}");
        let handle = File::open(&path).map_err(LabError::io(format!("open {path}")))?;
        Ok(Self { name: name.to_owned(), handle })
    }

    /// Its name: the host's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` in it and waits.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> Result<T, LabError> + Send) -> Result<T, LabError> {
        std::thread::scope(|s| {
            let worker = s.spawn(|| {
                move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network))
                    .map_err(LabError::os(format!("enter {}", self.name)))?;
                f()
            });
            worker.join().unwrap_or_else(|_| Err(LabError::Other(format!("a probe in {} panicked", self.name))))
        })
    }

    /// Runs a program in it, with `input` on its standard input; an error where it fails.
    pub fn program(&self, program: &str, args: &[&str], input: Option<&str>) -> Result<Output, LabError> {
        self.run(|| run_program(program, args, input, &self.name))
    }

    /// Runs a program in it and gives what came of it, whatever that was.
    pub fn attempt(&self, program: &str, args: &[&str], input: Option<&str>) -> Result<Output, LabError> {
        self.run(|| start_program(program, args, input))
    }

    /// Writes sysctls (`net.ipv4.ip_forward` -> value). `/proc/sys/net` shows the writing thread's namespace.
    pub fn sysctl(&self, settings: &[(String, String)]) -> Result<(), LabError> {
        self.run(|| {
            for (key, value) in settings {
                let path = format!("/proc/sys/{}", key.replace('.', "/"));
                std::fs::write(&path, value).map_err(LabError::io(format!("write {value} to {path} in {}", self.name)))?;
            }
            Ok(())
        })
    }
}

fn start_program(program: &str, args: &[&str], input: Option<&str>) -> Result<Output, LabError> {
    let fail = |source| LabError::Spawn { program: program.to_owned(), source };
    let mut child = Command::new(program)
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    let feeder = child.stdin.take().zip(input.map(str::to_owned)).map(|(mut pipe, text)| {
        // A program that stops reading early says why on its standard error.
        std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())))
    });
    let output = child.wait_with_output().map_err(fail)?;
    if let Some(feeder) = feeder {
        let _ = feeder.join();
    }
    Ok(output)
}

/// Runs a program where the calling thread stands; an error where it fails.
pub(crate) fn run_program(program: &str, args: &[&str], input: Option<&str>, node: &str) -> Result<Output, LabError> {
    let output = start_program(program, args, input)?;
    if output.status.success() {
        return Ok(output);
    }
    Err(LabError::Command {
        node: node.to_owned(),
        command: format!("{program} {}", args.join(" ")),
        stderr: String::from_utf8_lossy(&output.stderr).lines().take(4).collect::<Vec<_>>().join("; "),
    })
}
