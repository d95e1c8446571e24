//! The questions: may this account run anything as that one, and this very command? In come policy, account, target and
//! machine, out come a three-valued answer and the grants behind it with their lines. The order is sudo's: the last line,
//! the last list and the last command that match decide.

use crate::{
    command::Asked,
    form::{Arguments, Command, Name, Place, Policy, Scope, Setting, Spec},
    matching::{Budget, decide},
    outcome::Outcome,
};
use serde::Serialize;

/// An account with the groups it is in, its primary one included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// Name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Groups by name and id.
    pub groups: Vec<(String, u32)>,
}

/// The machine the policy is asked on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Host name, short or full.
    pub host: String,
    /// Addresses of its interfaces.
    pub addresses: Vec<ipnet::IpNet>,
}

/// Yes, no, or not to be told from what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[must_use]
pub enum Answer {
    /// Certainly not.
    No,
    /// Cannot be told.
    Unknown,
    /// Certainly.
    Yes,
}

/// Something that is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Line that grants it.
    pub place: Place,
    /// The command, as a type; aliases are resolved.
    pub command: Command,
    /// The command as its line has it.
    pub text: String,
    /// Certain, or only possible.
    pub certain: bool,
    /// Whether a password is asked for.
    pub password: Answer,
    /// The password asked for is another account's: `rootpw`, `targetpw` or `runaspw`.
    pub others_password: Answer,
    /// The caller chooses variables that change what programs load.
    pub environment: bool,
    /// Programs are kept from starting others.
    pub noexec: bool,
}

impl Grant {
    /// Every program may be run.
    pub fn everything(&self) -> bool {
        self.command == Command::All
    }
}

/// The answer to a question with what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The answer.
    pub answer: Answer,
    /// Grants, in the order in which sudo asks them.
    pub grants: Vec<Grant>,
    /// Lines that did not read, where they make the answer unknown.
    pub unread: Vec<(Place, String)>,
}

/// As whom.
#[derive(Debug, Clone, Copy)]
enum As<'a> {
    User(&'a Who),
    Group(&'a (String, u32)),
}

/// Variables that let a caller choose what a program loads or runs.
const LOADED: [&str; 14] =
    ["LD_", "PYTHON", "PERL", "RUBY", "NODE_", "BASH_ENV", "ENV", "IFS", "PATH", "EDITOR", "VISUAL", "PAGER", "GIT_", "JAVA_TOOL_OPTIONS"];

impl Policy {
    /// May `who` run anything as `target`?
    pub fn may(&self, who: &Who, target: &Who, machine: &Machine) -> Ruling {
        self.rule(who, As::User(target), machine)
    }
    /// May `who` run anything with this group (`sudo -g`)?
    pub fn may_group(&self, who: &Who, group: &(String, u32), machine: &Machine) -> Ruling {
        self.rule(who, As::Group(group), machine)
    }
    /// May `who` run this very command as `target`?
    pub fn may_run(&self, who: &Who, target: &Who, machine: &Machine, asked: &Asked) -> Answer {
        let budget = Budget::new();
        let gated = self.gated(who, As::User(target), machine, &budget);
        let out = self.outcome(&gated, asked, &budget);
        match (out.may(Outcome::ALLOW), out == Outcome::ALLOW) {
            (_, true) => Answer::Yes,
            (false, _) if self.unread.is_empty() => Answer::No,
            _ => Answer::Unknown,
        }
    }

    /// Whether a password is asked for before this very command, given that it may be run.
    pub fn asks_password(&self, who: &Who, target: &Who, machine: &Machine, asked: &Asked) -> Answer {
        let budget = Budget::new();
        for (gate, _, spec) in self.gated(who, As::User(target), machine, &budget) {
            let out = self.command(&spec.command.item, spec.digest, asked, 0, &budget).negated(spec.command.negated).behind(gate);
            match out {
                Outcome::SILENT => {}
                Outcome::ALLOW => return self.password(spec, who, As::User(target), machine, &budget),
                _ => break,
            }
        }
        Answer::Unknown
    }

    /// Specifications that may speak of this account on this machine as that target, in sudo's order.
    fn gated<'p>(&'p self, who: &Who, target: As, machine: &Machine, budget: &Budget) -> Vec<(Outcome, &'p Place, &'p Spec)> {
        let mut out = Vec::new();
        for user in self.specs.iter().rev() {
            let users = self.users(&user.users, who, budget);
            if !users.may(Outcome::ALLOW) {
                continue;
            }
            for privilege in user.privileges.iter().rev() {
                let hosts = self.hosts(&privilege.hosts, machine, budget);
                if !hosts.may(Outcome::ALLOW) {
                    continue;
                }
                for spec in privilege.specs.iter().rev() {
                    let run_as = self.run_as(spec, who, target, budget);
                    let timed = if spec.timed { Outcome::PERHAPS } else { Outcome::ALLOW };
                    let gates = [users, hosts, run_as, timed];
                    if run_as.may(Outcome::ALLOW) {
                        let open = gates.iter().all(|g| *g == Outcome::ALLOW);
                        out.push((if open { Outcome::ALLOW } else { Outcome::PERHAPS }, &user.place, spec));
                    }
                }
            }
        }
        out
    }

    fn run_as(&self, spec: &Spec, who: &Who, target: As, budget: &Budget) -> Outcome {
        match (target, &spec.users, &spec.groups) {
            (As::User(t), Some(users), _) => self.run_as_users(users, t, budget),
            // Only a group list: as oneself, and whether without a group too differs between versions.
            (As::User(t), None, Some(_)) => {
                if t.uid == who.uid {
                    Outcome::PERHAPS
                } else {
                    Outcome::SILENT
                }
            }
            (As::User(t), None, None) if spec.myself => Outcome::matches(t.uid == who.uid),
            (As::User(t), None, None) => self.default_target(t, budget),
            (As::Group(g), _, Some(groups)) => self.run_as_groups(groups, g, budget),
            (As::Group(_), _, None) => Outcome::SILENT,
        }
    }

    /// Where no run-as list stands: `runas_default`, root unless set.
    fn default_target(&self, target: &Who, budget: &Budget) -> Outcome {
        let mut set = self.settings.iter().filter(|s| s.name == "runas_default").peekable();
        if set.peek().is_none() {
            return self.run_as_users(&vec![crate::form::Signed { negated: false, item: Name::Word("root".into()) }], target, budget);
        }
        Outcome::PERHAPS
    }

    fn outcome(&self, gated: &[(Outcome, &Place, &Spec)], asked: &Asked, budget: &Budget) -> Outcome {
        let mut out = Outcome::SILENT;
        for (gate, _, spec) in gated {
            if !budget.step() {
                return out.then(|| Outcome::ANYTHING);
            }
            let one = || self.command(&spec.command.item, spec.digest, asked, 0, budget).negated(spec.command.negated).behind(*gate);
            out = out.then(one);
            if !out.may(Outcome::SILENT) {
                break;
            }
        }
        out
    }

    fn rule(&self, who: &Who, target: As, machine: &Machine) -> Ruling {
        let budget = Budget::new();
        let gated = self.gated(who, target, machine, &budget);
        let mut grants: Vec<Grant> = Vec::new();
        let mut cut = false;
        for (at, (gate, place, spec)) in gated.iter().enumerate() {
            let mut leaves = Vec::new();
            cut |= !self.leaves(&spec.command.item, spec.command.negated, spec.digest, 0, &budget, &mut leaves);
            for (leaf, digest) in leaves {
                if *leaf == Command::List || self.covered(&gated[..=at], leaf, &budget) {
                    continue;
                }
                let (asked, single) = witnesses(leaf);
                let outcomes: Vec<Outcome> = asked.iter().map(|a| self.outcome(&gated, a, &budget)).collect();
                if single && !digest && outcomes.iter().all(|o| !o.may(Outcome::ALLOW)) {
                    continue;
                }
                let certain = *gate == Outcome::ALLOW && !digest && outcomes.contains(&Outcome::ALLOW);
                let grant = Grant {
                    place: (*place).clone(),
                    command: leaf.clone(),
                    text: spec.text.clone(),
                    certain,
                    password: self.password(spec, who, target, machine, &budget),
                    others_password: ["rootpw", "targetpw", "runaspw"]
                        .iter()
                        .map(|n| self.switch(n, false, who, target, machine, &budget))
                        .max()
                        .unwrap_or(Answer::No),
                    environment: spec.setenv == Some(true) || (*leaf == Command::All && spec.setenv.is_none()) || self.open_environment(),
                    noexec: spec.noexec.unwrap_or(false),
                };
                if !grants.contains(&grant) {
                    grants.push(grant);
                }
            }
        }
        let answer = if grants.iter().any(|g| g.certain) {
            Answer::Yes
        } else if grants.is_empty() && self.unread.is_empty() && !cut && budget.step() {
            Answer::No
        } else {
            Answer::Unknown
        };
        let unread =
            if answer == Answer::Yes { Vec::new() } else { self.unread.iter().map(|u| (u.place.clone(), u.why.clone())).collect() };
        Ruling { answer, grants, unread }
    }

    /// Commands a rule allows, aliases resolved; `false` where it nests too deep or costs too much.
    fn leaves<'p>(
        &'p self,
        command: &'p Command,
        negated: bool,
        digest: bool,
        depth: u32,
        budget: &Budget,
        out: &mut Vec<(&'p Command, bool)>,
    ) -> bool {
        const DEEPEST: u32 = 24;
        if !budget.step() || depth > DEEPEST {
            return false;
        }
        match command {
            Command::Alias(name) => self
                .command_aliases
                .get(name)
                .is_none_or(|m| m.iter().all(|(s, d)| self.leaves(&s.item, negated != s.negated, digest || *d, depth + 1, budget, out))),
            _ if negated => true,
            leaf => {
                out.push((leaf, digest));
                true
            }
        }
    }

    /// Whether a rule that sudo asks first, or the leaf's own list, denies every command the leaf stands for.
    fn covered(&self, gated: &[(Outcome, &Place, &Spec)], leaf: &Command, budget: &Budget) -> bool {
        for (gate, _, spec) in gated {
            let out = self.covers(&spec.command.item, spec.digest, leaf, 0, budget).negated(spec.command.negated);
            match (out, *gate) {
                (Outcome::DENY, Outcome::ALLOW) => return true,
                (Outcome::SILENT, _) | (_, Outcome::PERHAPS) => {}
                _ => return false,
            }
        }
        false
    }

    fn covers(&self, command: &Command, digest: bool, leaf: &Command, depth: u32, budget: &Budget) -> Outcome {
        const DEEPEST: u32 = 24;
        match command {
            Command::Alias(_) if depth > DEEPEST => Outcome::ANYTHING,
            Command::Alias(name) => self.command_aliases.get(name).map_or(Outcome::SILENT, |members| {
                let signed: Vec<_> = members.iter().map(|(s, d)| crate::form::Signed { negated: s.negated, item: (&s.item, *d) }).collect();
                decide(&signed, budget, &|(item, d)| self.covers(item, *d, leaf, depth + 1, budget))
            }),
            _ if digest => Outcome::SILENT,
            Command::All => Outcome::ALLOW,
            // Two regular expressions are equal as types without being so as texts.
            Command::Regex | Command::Path(_, Arguments::Regex) | Command::Edit(Arguments::Regex) => Outcome::SILENT,
            other => Outcome::matches(other == leaf),
        }
    }

    fn password(&self, spec: &Spec, who: &Who, target: As, machine: &Machine, budget: &Budget) -> Answer {
        // As oneself nobody is asked, and root never is.
        if who.uid == 0 || matches!(target, As::User(t) if t.uid == who.uid) {
            return Answer::No;
        }
        // Members of the exempt group are not asked, whatever a tag says; scopes of that setting are not weighed.
        let exempt = self.settings.iter().filter(|s| s.name == "exempt_group").any(|s| match &s.value {
            Some((_, group)) => who.groups.iter().any(|(g, _)| g == group),
            None => false,
        });
        let asked = match spec.nopasswd {
            Some(tag) => {
                if tag {
                    Answer::No
                } else {
                    Answer::Yes
                }
            }
            None => self.switch("authenticate", true, who, target, machine, budget),
        };
        match asked {
            Answer::Yes if exempt || (spec.nopasswd.is_none() && !self.unread.is_empty()) => Answer::Unknown,
            asked => asked,
        }
    }

    /// A setting that is on or off, after all that bind this question.
    fn switch(&self, name: &str, usual: bool, who: &Who, target: As, machine: &Machine, budget: &Budget) -> Answer {
        let truth = |on: bool| if on { Answer::Yes } else { Answer::No };
        let mut value = truth(usual);
        let named = || self.settings.iter().filter(|s| s.name == name);
        let commands = |s: &&Setting| matches!(s.scope, Scope::Commands(_));
        for setting in named().filter(|s| !commands(s)).chain(named().filter(commands)) {
            let binds = match &setting.scope {
                Scope::All => Outcome::ALLOW,
                Scope::Hosts(hosts) => self.hosts(hosts, machine, budget),
                Scope::Users(users) => self.users(users, who, budget),
                Scope::RunAs(users) => match target {
                    As::User(t) => self.run_as_users(users, t, budget),
                    As::Group(_) => Outcome::PERHAPS,
                },
                Scope::Commands(_) => Outcome::PERHAPS,
            };
            let new = truth(setting.on);
            if binds == Outcome::ALLOW {
                value = new;
            } else if binds.may(Outcome::ALLOW) && value != new {
                value = Answer::Unknown;
            }
        }
        // The manual lets settings for targets come after all others, sudo 1.9.13 takes the order of lines: where the two
        // differ nothing is said.
        let overruled = named().filter(|s| truth(s.on) != value).any(|s| match (&s.scope, target) {
            (Scope::RunAs(users), As::User(t)) => self.run_as_users(users, t, budget).may(Outcome::ALLOW),
            _ => false,
        });
        if overruled { Answer::Unknown } else { value }
    }

    /// Some setting lets callers keep variables that change what a program loads.
    fn open_environment(&self) -> bool {
        self.settings.iter().any(|s| match (s.name.as_str(), &s.value) {
            ("env_reset", None) => !s.on,
            ("setenv", None) => s.on,
            ("env_keep", Some(('+' | '=', value))) => {
                value.split_whitespace().any(|v| v.starts_with('*') || LOADED.iter().any(|l| v.starts_with(l)))
            }
            _ => false,
        })
    }
}

/// Commands a rule matches if it matches anything, and whether they are all there are.
fn witnesses(command: &Command) -> (Vec<Asked>, bool) {
    let (path, arguments) = match command {
        Command::All => {
            let path = |p: &str| Asked { path: p.to_owned(), arguments: String::new() };
            return (vec![path("/ravelin/witness/one"), path("/ravelin-witness"), path("/usr/bin/ravelin-witness")], false);
        }
        Command::Path(path, _) if path.ends_with('/') => (format!("{path}ravelin-witness"), &Arguments::Any),
        Command::Path(path, arguments) => (path.clone(), arguments),
        Command::Edit(arguments) => ("sudoedit".to_owned(), arguments),
        Command::Regex | Command::Alias(_) | Command::List => return (Vec::new(), false),
    };
    let mut single = !path.contains(['*', '?', '[']) && !path.ends_with("ravelin-witness");
    let path = path.replace(['*', '?'], "x");
    let arguments = match arguments {
        Arguments::Any => {
            single = false;
            vec![String::new(), "ravelin-witness".to_owned()]
        }
        Arguments::None => vec![String::new()],
        Arguments::Pattern(p) => {
            single &= !p.contains(['*', '?', '[', '\\']);
            vec![p.replace("\\", "").replace(['*', '?'], "x")]
        }
        Arguments::Regex => return (Vec::new(), false),
    };
    (arguments.into_iter().map(|arguments| Asked { path: path.clone(), arguments }).collect(), single)
}
