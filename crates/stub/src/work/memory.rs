//! Memory that is not ordinary: made executable, huge, locked, shared. In comes a profile, out come lines.

use super::Stage;
use crate::{
    act::{other, tell},
    kernel,
};
use std::fs::{self, File};
use stub::Profile;

const GROUP: &str = "memory";
/// Where huge pages are files.
const HUGE: &str = "/dev/hugepages";

pub fn all(profile: &Profile, _: &mut Stage) {
    if profile.need("jit").is_some() {
        tell(GROUP, "compile code and run it", kernel::compile_and_run());
        tell(GROUP, "memory that is writable and executable", kernel::writable_and_executable());
        // wasmtime and GPU runtimes keep images in memory files; both do without where there are none.
        tell(GROUP, "a memory file", kernel::memory_file());
    }
    if profile.need("hugepages").is_some() {
        tell(GROUP, "a huge page", kernel::huge_page());
        let path = format!("{HUGE}/{}-{}", profile.service, profile.instance);
        let file = || {
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
            kernel::huge_file(&file)?;
            fs::remove_file(&path)
        };
        tell(GROUP, format!("a huge page in {HUGE}"), file());
    }
    if profile.need("memlock").is_some() {
        tell(GROUP, "lock memory", kernel::lock_memory());
    }
    if profile.need("shared-ipc").is_some() {
        tell(GROUP, "System V shared memory", kernel::shared_memory());
        let path = format!("/dev/shm/stub-{}", profile.instance);
        tell(GROUP, "POSIX shared memory", fs::write(&path, "x").and_then(|()| fs::remove_file(&path)));
    }
    if let Some(need) = profile.need("shared-tmp") {
        for directory in &need.paths {
            let mark = format!("{directory}/stub-{}-{}.mark", profile.service, profile.instance);
            let there = || if fs::metadata(directory)?.is_dir() { fs::write(&mark, "x") } else { Err(other("it is no directory")) };
            tell(GROUP, format!("leave a file in {directory}"), there());
        }
    }
}
