//! Policies made up at random, with everything the grammar has. In come dice, out come files. The same dice give the same.

use std::collections::BTreeMap;

/// Accounts of the made-up machine: name, uid, gid.
pub const ACCOUNTS: [(&str, u32, u32); 6] =
    [("root", 0, 0), ("lotus", 990, 990), ("curio", 991, 991), ("ops", 1000, 1000), ("bob", 1001, 100), ("BOSS", 1002, 100)];
/// Its groups: name, gid, further members.
pub const GROUPS: [(&str, u32, &[&str]); 8] = [
    ("root", 0, &[]),
    ("lotus", 990, &[]),
    ("curio", 991, &["lotus"]),
    ("ops", 1000, &["bob"]),
    ("users", 100, &["ops"]),
    ("sudo", 27, &["ops"]),
    ("disk", 6, &[]),
    ("filecoin", 800, &["lotus", "curio"]),
];
/// Its programs.
pub const PROGRAMS: [&str; 7] =
    ["/bin/ls", "/bin/cat", "/usr/bin/less", "/usr/bin/systemctl", "/usr/sbin/reboot", "/usr/bin/lotus-miner", "/bin/sh"];

/// Numbers at random (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    pub fn percent(&mut self, p: u64) -> bool {
        self.below(100) < p
    }
    pub fn one<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }
}

/// Files of a policy by path.
#[derive(Debug)]
pub struct Case {
    pub files: BTreeMap<String, String>,
}

/// Commands to ask about.
pub fn probes(dice: &mut Dice) -> Vec<(&'static str, &'static str)> {
    let arguments = ["", "", "-l", "restart lotus", "/var/log/x", "a b c"];
    (0..2).map(|_| (dice.one(&PROGRAMS), dice.one(&arguments))).chain([("/bin/sh", "")]).collect()
}

/// A policy.
pub fn case(dice: &mut Dice, themselves: bool) -> Case {
    let mut files = BTreeMap::new();
    let mut main = String::new();
    let mut names = Names { themselves, ..Names::default() };
    let mut includes = 0;
    for _ in 0..2 + dice.below(9) {
        match dice.below(20) {
            0..=3 => main += &alias(dice, &mut names),
            4..=5 => main += &defaults(dice),
            6 if includes < 2 => {
                includes += 1;
                let path = ["/etc/sudoers.local", "/etc/sudoers more"][includes - 1];
                let text: String = (0..=dice.below(3)).map(|_| spec(dice, &names)).collect();
                let escaped = path.replace(' ', "\\ ");
                let forms = [format!("@include {escaped}"), format!("@include \"{path}\""), format!("#include {escaped}")];
                // In the old form of the directive blanks cannot be escaped in every version.
                let form = if path.contains(' ') { dice.below(2) } else { dice.below(3) };
                main += &format!("{}\n", forms[usize::try_from(form).expect("small")]);
                files.insert(path.to_owned(), text);
            }
            7 if dice.percent(40) => main += &garbage(dice),
            8 => main += dice.one(&["\n", "# a comment \\\n", "#comment\n", "  # lotus ALL=(ALL) ALL\n", "\t\n"]),
            _ => main += &spec(dice, &names),
        }
    }
    if dice.percent(40) {
        main += dice.one(&["@includedir /etc/sudoers.d\n", "#includedir /etc/sudoers.d\n", "@includedir sudoers.d\n"]);
    }
    for name in ["10-a", "20-b", "skipped.conf", "old~"] {
        if dice.percent(50) {
            files.insert(format!("/etc/sudoers.d/{name}"), spec(dice, &names));
        }
    }
    if dice.percent(90) && !main.is_empty() && dice.percent(10) {
        main.pop();
    }
    // Without root in a user namespace sudo cannot set groups when it is asked about one command.
    files.insert("/etc/sudoers".into(), format!("Defaults preserve_groups, !fqdn, listpw=never\n{main}"));
    Case { files }
}

#[derive(Default)]
struct Names {
    users: Vec<String>,
    runas: Vec<String>,
    hosts: Vec<String>,
    commands: Vec<String>,
    count: u32,
    themselves: bool,
}

fn list(dice: &mut Dice, most: u64, mut one: impl FnMut(&mut Dice) -> String) -> String {
    let mut out = String::new();
    for n in 0..=dice.below(most) {
        if n > 0 {
            out += dice.one(&[",", ", ", " , ", ",\\\n  "]);
        }
        if dice.percent(18) {
            out += dice.one(&["!", "!", "! ", "!!", "!!!"]);
        }
        out += &one(dice);
    }
    out
}

fn chosen(dice: &mut Dice, from: &[String]) -> Option<String> {
    let at = dice.below(from.len() as u64);
    from.get(usize::try_from(at).expect("small")).cloned()
}

fn user(dice: &mut Dice, aliases: &[String]) -> String {
    if dice.percent(20)
        && let Some(alias) = chosen(dice, aliases)
    {
        return alias;
    }
    dice.one(&[
        "lotus",
        "lotus",
        "lotus",
        "ops",
        "bob",
        "bob",
        "curio",
        "ALL",
        "#990",
        "#1001",
        "%filecoin",
        "%users",
        "%#800",
        "%ops",
        "%lotus",
        "+netgroup",
        "\"lotus\"",
        "lo\\x74us",
        "l\\otus",
        "\"%filecoin\"",
        "BOSS",
        "UNDEFINED",
        "#77",
        "%nosuch",
        "Lotus",
        "\"#990\"",
    ])
    .to_owned()
}

fn run_as(dice: &mut Dice, aliases: &[String]) -> String {
    if dice.percent(20)
        && let Some(alias) = chosen(dice, aliases)
    {
        return alias;
    }
    dice.one(&["root", "root", "ALL", "ALL", "ops", "curio", "#0", "#1000", "%root", "%#0", "%users", "nobody", "+netgroup", "\"root\""])
        .to_owned()
}

fn host(dice: &mut Dice, aliases: &[String]) -> String {
    if dice.percent(15)
        && let Some(alias) = chosen(dice, aliases)
    {
        return alias;
    }
    dice.one(&["ALL", "ALL", "ALL", "ALL", "ALL", "oracle", "ORACLE", "ora*", "other", "10.1.2.0/24", "192.0.2.1", "fe80::/64", "+hosts"])
        .to_owned()
}

fn command(dice: &mut Dice, aliases: &[String]) -> String {
    if dice.percent(20)
        && let Some(alias) = chosen(dice, aliases)
    {
        return alias;
    }
    if dice.percent(25) {
        return "ALL".into();
    }
    if dice.percent(4) {
        let digest = "0123456789abcdef".repeat(4);
        return format!("sha256:{digest} {}", dice.one(&PROGRAMS));
    }
    let path = dice.one(&[
        "/bin/ls",
        "/bin/cat",
        "/bin/sh",
        "/usr/bin/less",
        "/usr/bin/systemctl",
        "/usr/sbin/reboot",
        "/usr/bin/lotus-miner",
        "/usr/bin/",
        "/bin/",
        "/usr/*/less",
        "/bin/[a-c]at",
        "/bin/?s",
        "/usr/bin/l*",
        "sudoedit",
        "^/bin/(ls|cat)$",
        "/nosuch/*",
        "list",
        "/bin/\\ x",
    ]);
    if path.ends_with('/') || path == "list" || dice.percent(60) {
        return path.into();
    }
    format!(
        "{path} {}",
        dice.one(&[
            "-l",
            "\"\"",
            "restart lotus",
            "/var/log/*",
            "a\\,b",
            "* c",
            "\\*",
            "x\\:y\\=z",
            "a=b",
            "^-.*$",
            "restart *",
            "[-a-z]*"
        ])
    )
}

fn alias(dice: &mut Dice, names: &mut Names) -> String {
    names.count += 1;
    let name = format!("A{}", if dice.percent(4) { 1 } else { names.count });
    let (kind, text) = match dice.below(4) {
        0 => ("User_Alias", list(dice, 4, |d| user(d, &names.users))),
        1 => ("Runas_Alias", list(dice, 3, |d| run_as(d, &names.runas))),
        2 => ("Host_Alias", list(dice, 3, |d| host(d, &names.hosts))),
        _ => ("Cmnd_Alias", list(dice, 4, |d| command(d, &names.commands))),
    };
    match kind {
        "User_Alias" => names.users.push(name.clone()),
        "Runas_Alias" => names.runas.push(name.clone()),
        "Host_Alias" => names.hosts.push(name.clone()),
        _ => names.commands.push(name.clone()),
    }
    let sign = dice.one(&["=", " = ", "= ", " \\\n="]);
    format!("{kind} {name}{sign}{text}\n")
}

fn defaults(dice: &mut Dice) -> String {
    let scope = dice.one(&["", "", "", ":lotus", ":ops,bob", "@oracle", ">root", "!/bin/ls", ":%filecoin"]);
    let setting = dice.one(&[
        "env_reset",
        "!authenticate",
        "authenticate",
        "mail_badpass",
        "secure_path=\"/usr/sbin:/usr/bin\"",
        "env_keep += \"LD_PRELOAD HOME\"",
        "rootpw",
        "!requiretty",
        "timestamp_timeout=0",
        "passwd_tries=3, badpass_message=\"no, no\"",
        "exempt_group=filecoin",
        "setenv",
        "runas_default=ops",
        "env_keep-=HOME",
        "editor=/bin/a\\:/bin/b",
        "insults",
    ]);
    format!("Defaults{scope} {setting}\n")
}

fn garbage(dice: &mut Dice) -> String {
    dice.one(&[
        "lotus ALL=\n",
        "lotus\n",
        "= ALL\n",
        "lotus ALL=(root ALL\n",
        "lotus ALL=(root) nosuch\n",
        "User_Alias a = b\n",
        "Defaults =x\n",
        "lotus ALL = !\n",
        "lotus ALL=ALL ALL\n",
        "lotus ALL=ALL,\n",
        "%\n",
        "\"lotus ALL=ALL\n",
        "lotus ALL=(root) /bin/ls : !\n",
        "bob ALL=(root) !ALL : ALL=(\n",
        "lotus ALL=(root) NOPASSWD: /bin/cat : oracle=(root) /bin/ls, nosuch\n",
        "bob ALL=/bin/a\\*b\n",
        "Cmnd_Alias X1 = /bin/ls, !\n",
        "@nonsense /x\n",
        "lotus ALL=NOPASSWD /bin/ls\n",
    ])
    .to_owned()
}

fn spec(dice: &mut Dice, names: &Names) -> String {
    let mut out = list(dice, 2, |d| user(d, &names.users));
    for n in 0..=dice.below(8) / 7 {
        out += if n == 0 { " " } else { " : " };
        out += &list(dice, 2, |d| host(d, &names.hosts));
        out += dice.one(&["=", " = ", "= "]);
        let commands = 1 + dice.below(3);
        for c in 0..commands {
            if c > 0 {
                out += dice.one(&[", ", ","]);
            }
            if dice.percent(50) {
                let users = list(dice, 2, |d| run_as(d, &names.runas));
                out += &match dice.below(8) {
                    0 => format!("({users} : disk)"),
                    1 if names.themselves => "(:disk, root)".to_owned(),
                    2 if names.themselves => dice.one(&["()", "(:)"]).to_owned(),
                    _ => format!("({users})"),
                };
                out.push(' ');
            }
            if dice.percent(8) {
                out += dice.one(&["TIMEOUT=10m ", "NOTAFTER=20200101000000Z ", "NOTBEFORE=20200101000000Z ", "CWD=/tmp "]);
            }
            while dice.percent(25) {
                out += dice.one(&[
                    "NOPASSWD: ",
                    "NOPASSWD:",
                    "PASSWD: ",
                    "NOEXEC: ",
                    "SETENV: ",
                    "NOSETENV:",
                    "LOG_OUTPUT: ",
                    "NOPASSWD : ",
                    "FOLLOW: ",
                ]);
            }
            if dice.percent(15) {
                out += dice.one(&["!", "!!", "! "]);
            }
            out += &command(dice, &names.commands);
        }
    }
    if dice.percent(8) {
        out += " # why";
    }
    out.push('\n');
    out
}
