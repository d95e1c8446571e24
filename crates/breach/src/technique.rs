//! The ways up by name. In comes a technique, out come its title, what it means and what closes it. Tables only.

use serde::Serialize;

macro_rules! techniques {
    ($($name:ident, $id:literal, $title:literal, $close:literal;)*) => {
        /// A technique.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Technique {
            $(#[doc = $title] $name,)*
        }
        impl Technique {
            /// Every technique.
            pub const ALL: &'static [Technique] = &[$(Technique::$name),*];
            /// Stable name, also of its case.
            pub fn id(self) -> &'static str {
                match self { $(Technique::$name => $id,)* }
            }
            /// In a few words.
            pub fn title(self) -> &'static str {
                match self { $(Technique::$name => $title,)* }
            }
            /// What closes it, in general.
            pub fn close(self) -> &'static str {
                match self { $(Technique::$name => $close,)* }
            }
        }
    };
}

techniques! {
    Sudo, "sudo", "runs programs through sudo", "take the line out of sudoers; what must run with privilege gets a unit of its own";
    SudoGroup, "sudo-group", "takes a group through sudo -g", "take the group list out of the sudoers line";
    Su, "su", "becomes root through su", "require pam_wheel in /etc/pam.d/su, without `trust`";
    Polkit, "polkit", "is let through by polkit", "take the account and its groups out of the polkit rule";
    Member, "member", "is a member of a group", "take the account out of the group";
    RootGroup, "root-group", "the group amounts to root", "leave the group to administrators";
    SetId, "set-id", "starts a set-id program", "take the bit off, or leave the program to a group of administrators";
    FileCapability, "file-capability", "starts a program with capabilities", "setcap -r on the program";
    ProcessCapability, "process-capability", "its processes hold capabilities", "drop the capability in the unit (CapabilityBoundingSet, AmbientCapabilities)";
    Write, "write", "may change", "owner root, no write for group and others";
    UnitFile, "unit-file", "systemd reads it", "owner root, no write for group and others";
    UnitProgram, "unit-program", "a unit starts it", "owner root, no write for group and others";
    UnitEnvironment, "unit-environment", "a unit takes its environment from it", "owner root, no write for group and others";
    Cron, "cron", "cron runs it", "owner root, no write for group and others";
    Path, "path", "root looks for programs there", "owner root, no write for group and others";
    Profile, "profile", "a login shell reads it", "owner root or the account itself, no write for group and others";
    Logrotate, "logrotate", "logrotate acts on it as root", "add `su ACCOUNT GROUP` to the block";
    Linker, "linker", "every program loads it", "owner root, no write for group and others";
    Configuration, "configuration", "root obeys it", "owner root, no write for group and others";
    SshKeys, "ssh-keys", "its keys open a login", "owner and mode 0600 for the account itself";
    EngineSocket, "engine-socket", "starts root containers through it", "mode 0660 and a group of administrators alone";
    Device, "device", "holds the machine's disks or memory", "mode 0660 and a group nobody is in";
    Ptrace, "ptrace", "reads and writes another process of the same account", "one account per service, kernel.yama.ptrace_scope = 2";
    SharedAccount, "shared-account", "runs under the same account as another service", "one account per service";
    ReadSecret, "read-secret", "may read", "mode 0600, the service's own account";
}
