//! Mounted file systems and swap, from the kernel's tables. In comes a root, out come mounts with their options; whether a device
//! lies on an encrypted one is followed through the device mapper as far as it shows.

use crate::{Error, Root};
use facts::{Mount, Source, Swap, Unread};

/// Deepest stack of devices that is followed: partition, RAID, volume, encryption, volume again.
const DEEPEST: u32 = 8;

/// All mounts, in the kernel's order. Lines that do not read are named.
pub fn mounts(root: &Root, odd: &mut Vec<Unread>) -> Result<Vec<Mount>, Error> {
    const TABLE: &str = "/proc/self/mounts";
    // `self` of a tree is nobody.
    let table = if root.is_machine() { TABLE } else { "/proc/mounts" };
    let text = root.text(table)?;
    let mut out = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        match mount(line) {
            Some(mut m) => {
                m.encrypted = encrypted(root, &m.source);
                out.push(m);
            }
            None if line.trim().is_empty() => {}
            None => odd.push(Unread { source: Source::Mounts, file: table.to_owned(), line: number }),
        }
    }
    Ok(out)
}

/// Swap in use; a kernel without swap has none.
pub fn swaps(root: &Root) -> Result<Vec<Swap>, Error> {
    let text = match root.text("/proc/swaps") {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let devices = text.lines().skip(1).filter_map(|l| l.split_whitespace().next()).map(plain);
    Ok(devices
        .map(|device| {
            let in_memory = device.starts_with("/dev/zram");
            let on = if device.starts_with("/dev/") { encrypted(root, &device) } else { file_on(root, &device) };
            Swap { encrypted: if in_memory { Some(true) } else { on }, device }
        })
        .collect())
}

/// Whether the device a swap file lies on is encrypted.
fn file_on(root: &Root, path: &str) -> Option<bool> {
    let all = mounts(root, &mut Vec::new()).ok()?;
    facts::mount::holding(&all, path).and_then(|m| m.encrypted)
}

/// A line of the table: six fields, blanks in them written as octal numbers.
fn mount(line: &str) -> Option<Mount> {
    let mut fields = line.split_whitespace();
    let (source, at, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(Mount {
        source: plain(source),
        at: plain(at),
        kind: kind.to_owned(),
        options: options.split(',').map(str::to_owned).collect(),
        encrypted: None,
    })
}

/// A field with its octal numbers (`\040` is a blank) read.
fn plain(field: &str) -> String {
    let mut out = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|d| *first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        let number = digits.and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u8::from_str_radix(d, 8).ok());
        match number {
            Some(n) => {
                out.push(n);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether a block device is, or lies on, one of dm-crypt; `None` for what is no block device.
fn encrypted(root: &Root, source: &str) -> Option<bool> {
    let name = source.strip_prefix("/dev/")?;
    // `/dev/mapper/x` and `/dev/disk/by-uuid/x` are links to the device.
    let device = if name.contains('/') { root.followed(source).file_name()?.to_str()?.to_owned() } else { name.to_owned() };
    let device = if root.is_machine() { std::fs::canonicalize(source).ok()?.file_name()?.to_str()?.to_owned() } else { device };
    below(root, &device, DEEPEST)
}

fn below(root: &Root, device: &str, depth: u32) -> Option<bool> {
    let class = format!("/sys/class/block/{device}");
    if root.text(&format!("{class}/dm/uuid")).is_ok_and(|u| u.starts_with("CRYPT-")) {
        return Some(true);
    }
    // Only what the kernel knows can be judged.
    root.text(&format!("{class}/dev")).ok()?;
    let slaves = root.entries(format!("{class}/slaves"));
    let answers = slaves.iter().filter(|_| depth > 0).filter_map(|(name, _)| below(root, name.to_str()?, depth - 1));
    // One part in plain and the whole is in plain.
    Some(answers.fold(None, |all: Option<bool>, one| Some(all.unwrap_or(true) && one)).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn fields_are_read_and_encryption_is_followed() {
        assert_eq!(plain("/srv/a\\040b\\\\134"), "/srv/a b\\\\134".replace("\\\\134", "\\\\"));
        assert_eq!(mount("x /y"), None);
        let dir = std::env::temp_dir().join(format!("ravelin-mounts-{}", std::process::id()));
        let put = |path: &str, text: &str| {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("makes");
            fs::write(path, text).expect("writes");
        };
        put("proc/mounts", "/dev/dm-1 / ext4 rw,relatime 0 0\n/dev/sda1 /srv ext4 rw,nosuid 0 0\ntmpfs /tmp tmpfs rw 0 0\nodd\n");
        put(
            "proc/swaps",
            "Filename Type Size Used Priority\n/swap\\040file file 1 0 -2\n/dev/sda2 partition 1 0 -3\n/dev/zram0 partition 1 0 100\n",
        );
        put("sys/class/block/dm-1/dev", "253:1");
        put("sys/class/block/dm-1/slaves/dm-0", "");
        put("sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-x");
        put("sys/class/block/sda1/dev", "8:1");
        put("sys/class/block/sda2/dev", "8:2");
        let root = Root::tree(&dir);
        let mut odd = Vec::new();
        let (mounts, swaps) = (mounts(&root, &mut odd).expect("reads"), swaps(&root).expect("reads"));
        fs::remove_dir_all(&dir).expect("removes");
        assert_eq!(mounts.iter().map(|m| m.encrypted).collect::<Vec<_>>(), [Some(true), Some(false), None]);
        assert!(mounts[1].has("nosuid") && !mounts[1].has("noexec"));
        assert_eq!(odd.iter().map(|u| (u.file.as_str(), u.line)).collect::<Vec<_>>(), [("/proc/mounts", 4)]);
        let said: Vec<(&str, Option<bool>)> = swaps.iter().map(|s| (s.device.as_str(), s.encrypted)).collect();
        assert_eq!(said, [("/swap file", Some(true)), ("/dev/sda2", Some(false)), ("/dev/zram0", Some(true))]);
    }
}
