//! Where a look begins: this machine, or a tree of files that stands for one (a mounted image, a restored backup, a planted
//! case). In comes a path as the machine itself would say it, out comes where it lies. Links of a tree lead inside the tree
//! and nowhere else.

use crate::Error;
use std::{
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

/// Most links one path may lead over: the kernel's own limit.
const MOST_LINKS: u32 = 40;
/// Most bytes of one file that is kept as text: ten times the longest table of a large machine.
const MOST_BYTES: u64 = 64 << 20;

/// Where a look begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root(Option<PathBuf>);

impl Root {
    /// This machine.
    pub fn machine() -> Self {
        Self(None)
    }
    /// A tree of files.
    pub fn tree(directory: &Path) -> Self {
        Self(Some(directory.to_owned()))
    }
    /// Whether it is this machine, so that the kernel and programs may be asked as well.
    pub fn is_machine(&self) -> bool {
        self.0.is_none()
    }
    /// Where a path lies; a link in its last part is not followed.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.place(path.as_ref(), false)
    }
    /// Where a path lies with every link followed.
    pub fn followed(&self, path: impl AsRef<Path>) -> PathBuf {
        self.place(path.as_ref(), true)
    }
    /// The path as the machine itself would say it.
    pub fn said(&self, place: &Path) -> PathBuf {
        match &self.0 {
            Some(root) => place.strip_prefix(root).map_or_else(|_| place.to_owned(), |p| Path::new("/").join(p)),
            None => place.to_owned(),
        }
    }
    /// Reads a text file; bytes that are no UTF-8 are replaced.
    pub fn text(&self, path: &str) -> Result<String, Error> {
        let follow = self.is_machine();
        match sys::file::regular(&self.followed(path), MOST_BYTES, follow) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(source) => Err(Error::File { path: path.to_owned(), source }),
        }
    }
    /// Names in a directory with where they lie, sorted; nothing where it cannot be read.
    pub fn entries(&self, directory: impl AsRef<Path>) -> Vec<(OsString, PathBuf)> {
        let directory = directory.as_ref();
        let all = fs::read_dir(self.followed(directory)).into_iter().flatten().flatten();
        let mut out: Vec<_> = all.map(|e| (e.file_name(), directory.join(e.file_name()))).collect();
        out.sort();
        out
    }

    fn place(&self, path: &Path, last: bool) -> PathBuf {
        let Some(root) = &self.0 else { return path.to_owned() };
        let mut links = MOST_LINKS;
        let mut rest: Vec<OsString> = parts(path);
        let mut inside = PathBuf::new();
        while let Some(part) = rest.pop() {
            if part == ".." {
                inside.pop();
                continue;
            }
            inside.push(&part);
            let follow = last || !rest.is_empty();
            let Some(target) = Some(root.join(&inside)).filter(|_| follow && links > 0).and_then(|p| fs::read_link(p).ok()) else {
                continue;
            };
            links -= 1;
            inside.pop();
            if target.is_absolute() {
                inside = PathBuf::new();
            }
            rest.extend(parts(&target));
        }
        root.join(inside)
    }
}

/// Names of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_of_a_tree_stay_inside_it() {
        let dir = std::env::temp_dir().join(format!("ravelin-root-{}", std::process::id()));
        fs::create_dir_all(dir.join("etc/real")).expect("makes");
        fs::write(dir.join("etc/real/file"), "inside").expect("writes");
        for (target, name) in
            [("/etc/real", "etc/link"), ("../../../../../etc/real", "etc/up"), ("ring", "etc/ring"), ("/etc/passwd", "etc/out")]
        {
            symlink(target, dir.join(name)).expect("links");
        }
        let root = Root::tree(&dir);
        let texts: Vec<Option<String>> =
            ["/etc/link/file", "/etc/up/file", "/etc/ring/file", "/etc/out", "/../etc/real/file"].map(|p| root.text(p).ok()).to_vec();
        let said = root.said(&root.at("/etc/link/file"));
        let not_followed = root.at("/etc/link");
        fs::remove_dir_all(&dir).expect("removes");
        let inside = Some("inside".to_owned());
        assert_eq!(texts, [inside.clone(), inside.clone(), None, None, inside], "the machine's own /etc/passwd is not read");
        assert_eq!((said.as_path(), not_followed), (Path::new("/etc/real/file"), dir.join("etc/link")));
    }
}
