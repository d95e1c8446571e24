//! Places to label: the machine in pieces, so that what was done is known when it is cut off. In comes a root directory, out come
//! paths and how many inodes they hold. Never: follows a link, labels anything.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// File systems of the kernel, and what is made anew at each boot.
const NOT_KEPT: [&str; 5] = ["proc", "sys", "dev", "run", "lost+found"];
/// Directories that are taken child by child: most of a system lies in them.
const LARGE: [&str; 2] = ["usr", "var"];
/// A place that ends like this is the directory alone.
pub const ALONE: &str = "/.";

/// The pieces of a machine, the directories above them alone.
pub fn pieces(root: &Path) -> Vec<String> {
    let mut out = BTreeSet::from([ALONE.to_owned()]);
    for name in names(root).into_iter().filter(|n| !NOT_KEPT.contains(&n.as_str())) {
        let place = root.join(&name);
        if LARGE.contains(&name.as_str()) && !place.is_symlink() {
            out.insert(format!("/{name}{ALONE}"));
            out.extend(names(&place).into_iter().map(|n| format!("/{name}/{n}")));
        } else {
            out.insert(format!("/{name}"));
        }
    }
    out.into_iter().collect()
}

/// Inodes at and below a place.
pub fn inodes(place: &str) -> u64 {
    if place.ends_with(ALONE) {
        return 1;
    }
    let mut left = vec![PathBuf::from(place)];
    let mut count = 0;
    while let Some(path) = left.pop() {
        count += 1;
        if fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        }
    }
    count
}

/// Names that are text: others are reached through a place that holds them, never named to a program.
fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_falls_into_pieces() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |p: &str| dir.path().join(p);
        for d in ["proc/1", "etc", "usr/lib/x", "var/log", "run/y"] {
            fs::create_dir_all(at(d)).expect("makes");
        }
        std::os::unix::fs::symlink("usr/bin", at("bin")).expect("links");
        assert_eq!(pieces(dir.path()), ["/.", "/bin", "/etc", "/usr/.", "/usr/lib", "/var/.", "/var/log"]);
        std::os::unix::fs::symlink("/", at("usr/lib/everything")).expect("links");
        assert_eq!(inodes(at("usr").to_str().expect("text")), 4);
        assert_eq!(inodes("/usr/."), 1);
    }
}
