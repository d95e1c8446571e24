//! Where images lie. Out comes a directory.

use std::path::PathBuf;

/// Overrides the directory.
pub const VARIABLE: &str = "RAVELIN_VM_CACHE";

/// `target/vm` beside the program where cargo built it, else the account's cache directory.
pub fn directory() -> PathBuf {
    if let Some(given) = std::env::var_os(VARIABLE) {
        return given.into();
    }
    let own = std::env::current_exe().unwrap_or_default();
    if let Some(target) = own.ancestors().find(|a| a.file_name().is_some_and(|n| n == "target")) {
        return target.join("vm");
    }
    let home = || std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache.unwrap_or_else(|| "/var/cache".into()).join("ravelin/vm")
}
