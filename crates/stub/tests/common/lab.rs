//! A machine with stand-ins. In come files and units, out comes what the stand-ins said by unit, and what the audit log holds.

use super::Service;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::Duration,
};
use stub::Said;
use vm::{Disk, Image, Machine, Options, cache};

/// Where profiles and orders lie in the machine.
pub const HOME: &str = "/etc/ravelin-stub";
/// Unpacking, accounts, policy: under emulation.
pub const SETTING_UP: Duration = Duration::from_secs(300);
/// All stand-ins of a machine at once.
pub const ALL_OF_THEM: Duration = Duration::from_secs(240);

/// By unit, what was said.
pub type Heard = BTreeMap<String, Vec<Said>>;

/// A machine, and the disk it lies on.
pub struct Lab {
    pub machine: Machine,
    disk: Disk,
}

impl Lab {
    /// A fresh machine.
    #[expect(clippy::print_stdout, reason = "the times are part of what the test says")]
    pub fn boot(options: &Options) -> Self {
        let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e}"));
        let disk = Disk::new(&image).expect("a disk");
        let machine = Machine::boot(&image, &disk, options).unwrap_or_else(|e| panic!("{e}"));
        println!("booted in {:.1} s", machine.booted_in().as_secs_f64());
        Self { machine, disk }
    }

    /// Shuts it down in order and boots it again.
    #[expect(clippy::print_stdout, reason = "the times are part of what the test says")]
    pub fn again(self, options: &Options) -> Self {
        let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e}"));
        self.machine.power_off().unwrap_or_else(|e| panic!("{e}"));
        let machine = Machine::boot(&image, &self.disk, options).unwrap_or_else(|e| panic!("{e}"));
        println!("booted in {:.1} s", machine.booted_in().as_secs_f64());
        Self { machine, disk: self.disk }
    }

    /// Runs a script that must end well.
    #[expect(clippy::print_stdout, reason = "the times are part of what the test says")]
    pub fn must(&mut self, script: &str, within: Duration) -> String {
        let begun = std::time::Instant::now();
        let ran = self.machine.run_within(script, within).unwrap_or_else(|e| panic!("{e}"));
        println!("{:6.1} s  {}", begun.elapsed().as_secs_f64(), script.trim().lines().next().unwrap_or_default());
        assert!(ran.ok(), "{script}\nended with {:?}: {}", ran.code, ran.said());
        ran.text()
    }

    /// Writes files, all in one go.
    pub fn unpack(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        let work = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        for (path, bytes) in files {
            let path = work.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            fs::write(&path, bytes).expect("written");
        }
        let mut tar = Command::new("tar");
        tar.args(["-c", "--owner=0", "--group=0", "--mode=u=rwX,go=rX", "-C"]).arg(work.path()).arg(".");
        let tar = tar.output().expect("tar runs");
        assert!(tar.status.success());
        let ran = self.machine.run_with("tar -x -C / --no-overwrite-dir", &tar.stdout, SETTING_UP).unwrap_or_else(|e| panic!("{e}"));
        assert!(ran.ok(), "{}", ran.said());
    }

    /// Puts `ravelin` into the machine, without its debug information.
    pub fn ravelin(&mut self, built: &str) {
        let directory = tempfile::tempdir().expect("directory");
        let small = directory.path().join("ravelin");
        assert!(Command::new("strip").arg("-o").arg(&small).arg(built).status().expect("binutils").success());
        self.unpack(&BTreeMap::from([("usr/local/sbin/ravelin".to_owned(), fs::read(&small).expect("reads"))]));
        self.must("chmod 755 /usr/local/sbin/ravelin", SETTING_UP);
    }

    /// Puts the stand-in in the place of these programs.
    pub fn programs(&mut self, services: &[Service]) {
        self.unpack(&BTreeMap::from([("usr/local/bin/ravelin-stub".to_owned(), super::program::bytes().to_vec())]));
        let programs: BTreeSet<&str> = services.iter().map(|s| s.program.as_str()).collect();
        let each: Vec<String> = programs.iter().map(|p| format!("install -D -m 755 /usr/local/bin/ravelin-stub {p}")).collect();
        self.must(&format!("set -e; chmod 755 /usr/local/bin/ravelin-stub\n{}", each.join("\n")), SETTING_UP);
    }

    /// Starts units and waits until each has said that this list of actions is through.
    pub fn start(&mut self, units: &[String], done: &str) {
        self.must(&format!("systemctl daemon-reload; systemctl start --no-block {}", units.join(" ")), SETTING_UP);
        self.wait(units, done);
    }

    /// Gives orders to running stand-ins, and waits until they are carried out.
    pub fn order(&mut self, name: &str, units: &[String], orders: &BTreeMap<String, Vec<String>>) {
        let home = HOME.trim_start_matches('/');
        let files = orders.iter().map(|(who, list)| (format!("{home}/{who}.orders"), listed(name, list)));
        self.unpack(&files.collect());
        self.wait(units, name);
    }

    /// Waits until each unit has said that this list of actions is through.
    pub fn wait(&mut self, units: &[String], done: &str) {
        // The journal is asked for the units that are still missing, since their last start.
        let script = format!(
            "# waits for `{done}` of {} units
            left='{}'
            while [ -n \"$left\" ]; do
              again=
              for u in $left; do
                journalctl -b -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID $u) --no-pager | grep -qF '{{\"done\":\"{done}\"}}' && continue
                systemctl -q is-failed $u && {{ echo \"$u failed:\"; journalctl -b -u $u --no-pager | tail -20; exit 1; }}
                again=\"$again $u\"
              done
              left=$again
              [ -z \"$left\" ] || sleep 1
            done",
            units.len(),
            units.join(" ")
        );
        let ran = self.machine.run_within(&script, ALL_OF_THEM).unwrap_or_else(|e| panic!("{e}"));
        if !ran.ok() {
            let more = self.machine.run("systemctl list-units --failed --no-pager; journalctl -b --no-pager | tail -60");
            panic!("{:?} {}\n{}", ran.code, ran.said(), more.map(|m| m.said()).unwrap_or_default());
        }
    }

    /// Everything stand-ins said, by unit.
    pub fn heard(&mut self) -> Heard {
        let text = self.must("journalctl -b -o json --output-fields=MESSAGE,_SYSTEMD_UNIT --no-pager", SETTING_UP);
        let mut out = Heard::new();
        for line in text.lines() {
            let Ok(json) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let (Some(unit), Some(message)) = (json["_SYSTEMD_UNIT"].as_str(), json["MESSAGE"].as_str()) else { continue };
            let said = stub::said::read(message);
            if !said.is_empty() {
                out.entry(unit.to_owned()).or_default().extend(said);
            }
        }
        out
    }

    /// Carries out orders as an administrator, without any service around them.
    pub fn unhardened(&mut self, orders: &[String]) -> BTreeMap<String, bool> {
        let ran = self.machine.run_with("cat >/root/orders; ravelin-stub orders /root/orders", &listed("control", orders), SETTING_UP);
        outcomes(&stub::said::read(&ran.unwrap_or_else(|e| panic!("{e}")).text()))
    }

    /// Refusals by SELinux since the last call.
    pub fn refused(&mut self) -> Vec<String> {
        // The daemon writes behind: a message of our own comes after everything that was before it.
        let script = "# the audit log
            mark=mark-$(date +%s%N); auditctl -m $mark; touch /root/seen
            until grep -aq $mark /var/log/audit/audit.log; do sleep 0.3; done
            tail -c +$(($(cat /root/seen) + 1)) /var/log/audit/audit.log | grep -a 'avc: .denied'
            stat -c %s /var/log/audit/audit.log >/root/seen";
        self.must(script, SETTING_UP).lines().map(str::to_owned).collect()
    }
}

fn listed(name: &str, orders: &[String]) -> Vec<u8> {
    format!("{name}\n{}\nend\n", orders.join("\n")).into_bytes()
}

/// By action, whether it worked.
pub fn outcomes(said: &[Said]) -> BTreeMap<String, bool> {
    let each = said.iter().filter_map(|s| match s {
        Said::Action { what, error, .. } => Some((what.clone(), error.is_none())),
        Said::Done(_) => None,
    });
    each.collect()
}

/// What did not work before this list of actions was through for the last time, in words.
pub fn failures(said: &[Said], done: &str) -> Vec<String> {
    let until = said.iter().rposition(|s| matches!(s, Said::Done(d) if d == done)).unwrap_or(said.len());
    let each = said[..until].iter().filter_map(|s| match s {
        Said::Action { group, what, error: Some(error), more } => Some(format!("{group}: {what}: {error} ({more})")),
        _ => None,
    });
    each.collect()
}

/// Orders that were carried out although they should not, or that are refused where nothing is in the way either.
pub fn not_denied(orders: &[String], outcome: &BTreeMap<String, bool>, free: &BTreeMap<String, bool>) -> Vec<String> {
    let mut out = Vec::new();
    for order in orders {
        if outcome.get(order) != Some(&false) {
            out.push(format!("{order} is not denied: {:?}", outcome.get(order)));
        }
        if free.get(order) != Some(&true) {
            out.push(format!("{order} does not succeed without the unit either"));
        }
    }
    out
}

/// Keeps what a test saw, for people.
pub fn keep(name: &str, text: &str) {
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), text).expect("written");
}
