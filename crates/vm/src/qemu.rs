//! QEMU's command line. In come an image, a disk and options, out comes a command. Software emulation always: it is there on
//! every machine, and what it shows does not depend on the processor.

use crate::{Image, Switch};
use std::{path::Path, process::Command, time::Duration};

/// The emulator.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// Which security module the kernel takes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// SELinux, in force.
    #[default]
    Enforcing,
    /// SELinux that only looks on and logs.
    Permissive,
    /// A Debian as it is installed: AppArmor, no SELinux.
    Plain,
    /// What the kernel and the machine's own configuration make of it: nothing is said on the kernel's command line.
    OwnChoice,
}

impl Mode {
    fn parameters(self) -> &'static str {
        match self {
            Mode::Enforcing => "security=selinux selinux=1 enforcing=1",
            Mode::Permissive => "security=selinux selinux=1 enforcing=0",
            Mode::Plain => "security=apparmor selinux=0 apparmor=1",
            Mode::OwnChoice => "",
        }
    }
}

/// How a machine is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Security module.
    pub mode: Mode,
    /// Memory in MiB.
    pub memory: u32,
    /// More words for the kernel's command line.
    pub kernel: String,
    /// Networks it is plugged into, in the order of its devices; none by default.
    pub networks: Vec<Switch>,
    /// How long it may take to boot.
    pub boot_within: Duration,
}

/// Enough for systemd, SELinux's policy tools and a few daemons.
const MEMORY_MIB: u32 = 1024;
/// An emulated boot takes 20 s on an idle machine; on one whose processors others use, many times that.
const BOOT_WITHIN: Duration = Duration::from_secs(300);
/// On the kernel's command line whatever the options say. A kernel counts timer interrupts while it spins, to find out whether the
/// timer is wired to its controller at all; emulation whose processors others use is late, and the kernel panics (`IO-APIC + timer
/// doesn't work`). QEMU's timer is wired: `no_timer_check` takes its word for it (Documentation/admin-guide/kernel-parameters.txt).
const KERNEL: &str = "root=/dev/vda rw console=ttyS0 quiet panic=-1 no_timer_check";
/// Two, so that races between processors can happen.
const PROCESSORS: &str = "2";

impl Default for Options {
    fn default() -> Self {
        Self { mode: Mode::Enforcing, memory: MEMORY_MIB, kernel: String::new(), networks: Vec::new(), boot_within: BOOT_WITHIN }
    }
}

/// A machine whose port is QEMU's standard input and output, and whose console goes into a file.
pub fn machine(image: &Image, disk: &Path, format: &str, console: &Path, options: &Options) -> Command {
    let mut command = base(image, disk, format, options);
    command.arg("-serial").arg(format!("file:{}", commas(console)));
    command.args(["-chardev", "stdio,id=agent,signal=off", "-device", "virtio-serial-pci"]);
    command.args(["-device", "virtserialport,chardev=agent,name=ravelin.agent"]);
    command
}

/// A machine whose console is this terminal: a login as root, no password; Ctrl-A X ends it.
pub fn console(image: &Image, disk: &crate::Disk, options: &Options) -> Command {
    let mut command = base(image, disk.path(), "qcow2", options);
    command.args(["-serial", "mon:stdio"]);
    command
}

/// A standing machine's console, in its directory.
pub const CONSOLE: &str = "console";
/// What its console has said.
pub const CONSOLE_LOG: &str = "console.log";
/// Where QEMU takes orders.
pub const CONTROL: &str = "control";

/// A machine that goes on when this program has ended; its disk, console and control socket lie in one directory.
pub fn standing(image: &Image, directory: &Path, options: &Options) -> Command {
    let mut command = base(image, &directory.join("disk.qcow2"), "qcow2", options);
    let at = |name: &str| commas(&directory.join(name));
    command.arg("-chardev").arg(format!("socket,id=console,path={},server=on,wait=off,logfile={}", at(CONSOLE), at(CONSOLE_LOG)));
    command.args(["-serial", "chardev:console"]);
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", at(CONTROL)));
    command.arg("-pidfile").arg(directory.join("pid")).arg("-daemonize");
    command
}

fn base(image: &Image, disk: &Path, format: &str, options: &Options) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-accel", "tcg"]);
    command.args(["-cpu", "max", "-smp", PROCESSORS, "-m", &options.memory.to_string()]);
    command.arg("-kernel").arg(image.kernel()).arg("-initrd").arg(image.initrd());
    let words = format!("{KERNEL} {} {}", options.mode.parameters(), options.kernel);
    command.args(["-append", words.trim_end()]);
    command.arg("-drive").arg(format!("file={},format={format},if=virtio,discard=unmap", commas(disk)));
    // Keys are made at boot: without a source of chance they wait.
    command.args(["-device", "virtio-rng-pci"]);
    for (n, switch) in options.networks.iter().enumerate() {
        let address = format!("52:54:00:00:{:02x}:{:02x}", switch.next_port(), n);
        command.arg("-netdev").arg(format!("stream,id=n{n},server=off,addr.type=unix,addr.path={}", commas(switch.path())));
        command.args(["-device", &format!("virtio-net-pci,netdev=n{n},mac={address}")]);
    }
    if options.networks.is_empty() {
        command.args(["-nic", "none"]);
    }
    command
}

/// A path as a value of a QEMU option, where a comma ends a value unless it stands twice.
fn commas(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
