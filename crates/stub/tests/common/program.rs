//! The stand-in's program, built for the machine: static, small, the profile's derivation left out. Out come its bytes.

use std::{path::Path, process::Command, sync::OnceLock};

/// Small, and without anything the machine would have to have.
const FLAGS: &str = "-C target-feature=+crt-static -C opt-level=s -C strip=symbols";

/// The program.
pub fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(build)
}

fn build() -> Vec<u8> {
    let arch = std::env::consts::ARCH;
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    let musl = format!("{arch}-unknown-linux-musl");
    let target = if Path::new(&sysroot).join("lib/rustlib").join(&musl).is_dir() { musl } else { format!("{arch}-unknown-linux-gnu") };
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stand-in");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "stub", "--bin", "ravelin-stub", "--no-default-features", "--target", &target]);
    cargo.arg("--target-dir").arg(&out).env("RUSTFLAGS", FLAGS).current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = cargo.output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(out.join(target).join("debug/ravelin-stub")).expect("the program")
}
