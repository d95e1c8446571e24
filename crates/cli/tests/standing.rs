//! `ravelin lab vm up`, `shell`, `down`: a machine that stands when the command has ended, its console, and nothing left afterwards.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

const NAME: &str = "standing-test";

fn ravelin(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.args(["lab", "vm"]).args(words).env("NO_COLOR", "1");
    command
}

fn ran(words: &[&str]) -> (bool, String) {
    let Output { status, stdout, stderr } = ravelin(words).output().expect("ravelin starts");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// Takes it down also where the test fails.
struct Taken;

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = ran(&["down", NAME]);
    }
}

/// Types a line and reads on until the console says this.
fn types(child: &mut Child, line: &str, until: &str) -> String {
    child.stdin.as_mut().expect("piped").write_all(line.as_bytes()).expect("typed");
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&said).contains(until) {
        let n = child.stdout.as_mut().expect("piped").read(&mut byte).expect("reads");
        assert_eq!(n, 1, "the console ended before `{until}`: {}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_machine_stands_until_it_is_taken_down() {
    let _taken = Taken;
    let (good, said) = ran(&["shell", NAME]);
    assert!(!good && said.contains("no machine `standing-test` stands"), "{said}");
    let (good, said) = ran(&["up", "--plain", NAME]);
    assert!(good, "{said}");
    let (good, said) = ran(&["up", NAME]);
    assert!(!good && said.contains("stands already"), "{said}");
    let directory: PathBuf = vm::cache::directory().join("standing").join(NAME);
    assert!(directory.join("disk.qcow2").exists());

    // Two shells, one after the other: what the first one did is there for the second.
    let mut first = ravelin(&["shell", NAME]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    types(&mut first, "\n", "login:");
    types(&mut first, "root\n", "# ");
    types(&mut first, "echo $((40 + 2)) >/root/seen; echo kept-$((40 + 2))\n", "kept-42");
    types(&mut first, "", "# ");
    first.stdin.as_mut().expect("piped").write_all(b"\x1d").expect("leaves");
    assert!(first.wait().expect("ends").success());
    let mut second = ravelin(&["shell", NAME]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    types(&mut second, "echo again-$(cat /root/seen)\n", "again-42");
    drop(second.stdin.take());
    assert!(second.wait().expect("ends").success());

    let (good, said) = ran(&["down", NAME]);
    assert!(good && said.contains("has powered off"), "{said}");
    assert!(!directory.exists());
    let (good, said) = ran(&["down", NAME]);
    assert!(!good && said.contains("no machine"), "{said}");
}
