//! systemd as far as the applier can tell: process 1 of the test's namespaces has its name, its directory is there, and a `systemctl`
//! that comes before the real one writes down what it is told, knows which units are enabled and run, and lets keepalived put on and
//! take off its addresses. It hangs or fails when it is told to.

use crate::common::run;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const DIRECTORY: &str = "/run/fake";

/// `active/UNIT` says with whose configuration it runs. Words in `hangs` are never done, words in `fails` are refused.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd /run/fake || exit 9
echo "$*" >> calls
grep -qxF -e "$*" hangs && exec sleep 600
grep -qxF -e "$*" fails && { echo "refused on purpose" >&2; exit 1; }
now= word= unit=
for a; do
    case $a in
        --now) now=1 ;;
        --*|-s|KILL) ;;
        *) if [ -z "$word" ]; then word=$a; else unit=$a; fi ;;
    esac
done
election=/etc/keepalived/ravelin.conf
starts() {
    if [ -e /etc/systemd/system/$unit.d/10-ravelin.conf ]; then echo ravelin; else echo own; fi > active/$unit
    if [ $unit = keepalived.service ] && grep -q ravelin active/$unit; then
        sed -n 's/^ *\([0-9a-f.:/]*\) dev \([^ ]*\) no_track.*/\1 dev \2/p' $election > elected
        while read -r a; do ip address replace $a 2>/dev/null; done < elected
    fi
}
ends() {
    if [ $unit = keepalived.service ] && [ -e active/$unit ]; then
        while read -r a; do ip address del $a 2>/dev/null; done < elected
        : > elected
    fi
    rm -f active/$unit
}
case $word in
    daemon-reload) ;;
    enable) touch enabled/$unit; [ -z "$now" ] || starts ;;
    disable) rm -f enabled/$unit; [ -z "$now" ] || ends ;;
    start) [ -e active/$unit ] || starts ;;
    restart) ends; starts ;;
    reload-or-restart) starts ;;
    stop|kill) ends ;;
    show)
        if [ -e enabled/$unit ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi
        if [ -e active/$unit ]; then echo ActiveState=active; else echo ActiveState=inactive; fi ;;
    *) echo "unknown: $*" >&2; exit 1 ;;
esac
exit 0
"#;

/// Says of every other program of systemd that it is not to be had.
const REFUSES: &str = "#!/bin/sh\nexit 1\n";

fn program(name: &str, text: &str) {
    let path = Path::new("/usr/local/sbin").join(name);
    fs::write(&path, text).expect("writes");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("sets");
}

/// A program that comes before the machine's own of this name. Only where [`start`] was called.
pub fn stand_in(name: &str, text: &str) {
    assert!(Path::new(DIRECTORY).is_dir(), "never among the machine's own programs");
    program(name, text);
}

/// Makes this test's namespaces a machine with systemd.
pub fn start() {
    assert_eq!(std::process::id(), 1, "never the machine's own process 1");
    run("mount", &["-t", "tmpfs", "none", "/run"]);
    run("mount", &["-t", "tmpfs", "none", "/usr/local/sbin"]);
    for directory in ["/run/systemd/system", "/run/fake/enabled", "/run/fake/active"] {
        fs::create_dir_all(directory).expect("makes");
    }
    for file in ["calls", "hangs", "fails", "elected"] {
        fs::write(Path::new(DIRECTORY).join(file), "").expect("writes");
    }
    program("systemctl", SYSTEMCTL);
    program("systemd-run", REFUSES);
    fs::write("/proc/1/comm", "systemd").expect("names itself");
}

/// What systemctl was told since the last time it was asked here, without questions.
pub fn calls() -> Vec<String> {
    let path = Path::new(DIRECTORY).join("calls");
    let text = fs::read_to_string(&path).expect("reads");
    fs::write(&path, "").expect("writes");
    text.lines().filter(|l| !l.starts_with("show ")).map(str::to_owned).collect()
}

/// A unit is enabled and runs with a configuration of its own, or neither.
pub fn set(unit: &str, on: bool) {
    let (enabled, active) = (Path::new(DIRECTORY).join("enabled").join(unit), Path::new(DIRECTORY).join("active").join(unit));
    if on {
        fs::write(enabled, "").expect("writes");
        fs::write(active, "own\n").expect("writes");
    } else {
        let _ = fs::remove_file(enabled);
        let _ = fs::remove_file(active);
    }
}

/// Whether a unit is enabled, and whose configuration it runs with.
pub fn get(unit: &str) -> (bool, Option<String>) {
    let active = fs::read_to_string(Path::new(DIRECTORY).join("active").join(unit)).ok();
    (Path::new(DIRECTORY).join("enabled").join(unit).exists(), active.map(|t| t.trim().to_owned()))
}

/// From now on these words hang.
pub fn hangs(words: &str) {
    fs::write(Path::new(DIRECTORY).join("hangs"), format!("{words}\n")).expect("writes");
}

/// From now on these words are refused.
pub fn fails(words: &str) {
    fs::write(Path::new(DIRECTORY).join("fails"), format!("{words}\n")).expect("writes");
}
