//! Lines to [`Policy`]. In come logical lines with their places, out comes the policy; a line that does not read is kept as
//! unread, as sudo leaves it out. Stricter than useful nowhere: what sudo refuses must not deny anything here.

use crate::{
    cursor::{Cursor, Stop, shown},
    form::{Arguments, Command, List, Name, Place, Policy, Privilege, Scope, Setting, Signed, Spec, Unread, UserSpec},
};
use facts::SudoersLine;
use std::collections::BTreeMap;

/// Longest line that is read, in bytes; sudo itself has no limit, people have.
const LONGEST_LINE: usize = 64 << 10;
/// Most lines that are read.
const MOST_LINES: usize = 50_000;

impl Policy {
    /// Reads lines that are already joined and freed of comments.
    pub fn read(lines: &[SudoersLine]) -> Policy {
        let mut policy = Policy::default();
        for line in lines.iter().take(MOST_LINES) {
            let place = Place { file: line.file.clone(), line: line.line };
            let read = if line.text.len() > LONGEST_LINE { Err("longer than 64 KiB".into()) } else { policy.line(&place, &line.text) };
            if let Err(why) = read {
                policy.unread.push(Unread { place, why });
            }
        }
        if let Some(first) = lines.get(MOST_LINES) {
            let place = Place { file: first.file.clone(), line: first.line };
            policy.unread.push(Unread { place, why: format!("more than {MOST_LINES} lines") });
        }
        policy
    }

    fn line(&mut self, place: &Place, text: &str) -> Result<(), Stop> {
        let mut c = Cursor::new(text);
        let mut ahead = c.clone();
        let first = ahead.plain();
        // A longer word that merely begins with the keyword is a user's name.
        let whole = ahead.rest().is_empty() || ahead.rest().starts_with([' ', '\t', ':', '@', '>', '!', '"', '=']);
        match first {
            "" if c.at_end() => Ok(()),
            "Defaults" if whole => self.defaults(place, ahead),
            "User_Alias" if whole => aliases(&mut self.user_aliases, ahead, |c| list(c, |c| name(c, false))),
            "Runas_Alias" if whole => aliases(&mut self.runas_aliases, ahead, |c| list(c, |c| name(c, false))),
            "Host_Alias" if whole => aliases(&mut self.host_aliases, ahead, |c| list(c, host)),
            "Cmnd_Alias" | "Cmd_Alias" if whole => aliases(&mut self.command_aliases, ahead, commands),
            _ if c.peek() == Some('@') => Err("a directive that was not followed".into()),
            _ => self.user_spec(place, c),
        }
    }

    fn user_spec(&mut self, place: &Place, mut c: Cursor) -> Result<(), Stop> {
        let users = list(&mut c, |c| name(c, false))?;
        let mut privileges = vec![privilege(&mut c)?];
        while c.take(":") {
            match privilege(&mut c) {
                Ok(more) => privileges.push(more),
                // sudo keeps what stands before the colon.
                Err(why) => {
                    self.specs.push(UserSpec { place: place.clone(), users, privileges });
                    return Err(why);
                }
            }
        }
        end(&mut c)?;
        self.specs.push(UserSpec { place: place.clone(), users, privileges });
        Ok(())
    }

    fn defaults(&mut self, place: &Place, mut c: Cursor) -> Result<(), Stop> {
        // The sign stands right behind the word.
        let sign = c.rest().chars().next().unwrap_or(' ');
        let scope = match sign {
            ':' => Scope::Users(scoped(&mut c, |c| name(c, false))?),
            '>' => Scope::RunAs(scoped(&mut c, |c| name(c, false))?),
            '@' => Scope::Hosts(scoped(&mut c, host)?),
            '!' => Scope::Commands(scoped(&mut c, |c| match c.peek() {
                Some('/') => Ok(Command::Path(c.path()?, Arguments::Any)),
                Some('^') => c.regex().map(|()| Command::Regex),
                _ => match c.plain() {
                    "ALL" => Ok(Command::All),
                    "sudoedit" => Ok(Command::Edit(Arguments::Any)),
                    word if is_alias(word) => Ok(Command::Alias(word.to_owned())),
                    _ => Err("a command was expected".into()),
                },
            })?),
            _ => Scope::All,
        };
        let mut found = Vec::new();
        loop {
            let on = !c.sign();
            let name = c.plain().to_owned();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                return Err(format!("a setting was expected before `{}`", shown(c.rest())));
            }
            let value = match ["+=", "-=", "="].into_iter().find(|o| c.take(o)) {
                Some(_) if !on => return Err("a value behind a switched-off setting".into()),
                Some(o) => Some((o.chars().next().unwrap_or('='), c.value()?)),
                None => None,
            };
            found.push(Setting { place: place.clone(), scope: scope.clone(), name, on, value });
            if !c.take(",") {
                break;
            }
        }
        end(&mut c)?;
        self.settings.extend(found);
        Ok(())
    }
}

fn privilege(c: &mut Cursor) -> Result<Privilege, Stop> {
    let hosts = list(c, host)?;
    expect(c, "=")?;
    Ok(Privilege { hosts, specs: specs(c)? })
}

fn scoped<T>(c: &mut Cursor, item: impl Fn(&mut Cursor) -> Result<T, Stop>) -> Result<List<T>, Stop> {
    let body = &c.rest()[1..];
    let mut after = Cursor::new(body);
    let all = list(&mut after, item)?;
    let taken = body.len() - after.rest().len();
    if !body[..taken].ends_with([' ', '\t']) {
        return Err("a setting was expected".into());
    }
    *c = after;
    Ok(all)
}

fn expect(c: &mut Cursor, sign: &str) -> Result<(), Stop> {
    if c.take(sign) { Ok(()) } else { Err(format!("`{sign}` was expected before `{}`", shown(c.rest()))) }
}

fn end(c: &mut Cursor) -> Result<(), Stop> {
    if c.at_end() { Ok(()) } else { Err(format!("nothing was expected, but `{}`", shown(c.rest()))) }
}

fn list<T>(c: &mut Cursor, item: impl Fn(&mut Cursor) -> Result<T, Stop>) -> Result<List<T>, Stop> {
    let mut out = Vec::new();
    loop {
        let negated = c.sign();
        out.push(Signed { negated, item: item(c)? });
        if !c.take(",") {
            return Ok(out);
        }
    }
}

/// A user, group or run-as member. `bare` is a group list, where a word is a group's name.
fn name(c: &mut Cursor, bare: bool) -> Result<Name, Stop> {
    match c.peek() {
        Some('"') => Ok(marked(c.quoted()?)),
        Some('#') => {
            c.take("#");
            Ok(c.number()?.map_or(Name::Word(String::new()), Name::Id))
        }
        Some('%') if !bare => {
            c.take("%");
            if c.rest().starts_with([' ', '\t']) {
                return Err("an empty group".into());
            }
            if c.take(":") {
                if c.rest().starts_with('#') {
                    c.take("#");
                    c.number()?;
                    return Ok(Name::Elsewhere("a group of another directory".into()));
                }
                return Ok(Name::Elsewhere(format!("%:{}", c.word()?)));
            }
            if c.rest().starts_with('#') {
                c.take("#");
                return Ok(c.number()?.map_or(Name::Word(String::new()), Name::Gid));
            }
            Ok(Name::Group(c.word()?))
        }
        Some('+') if !bare => {
            c.take("+");
            if c.rest().starts_with([' ', '\t']) {
                return Err("an empty netgroup".into());
            }
            Ok(Name::Elsewhere(format!("+{}", c.word()?)))
        }
        _ => {
            let before = c.rest();
            Ok(capitals(before, c.word()?))
        }
    }
}

/// What a quoted name means: its first character marks it.
fn marked(text: String) -> Name {
    if let Some(group) = text.strip_prefix('%') {
        return match group.strip_prefix('#') {
            _ if group.starts_with(':') => Name::Elsewhere(text),
            Some(gid) => gid.parse().map_or(Name::Group(group.to_owned()), Name::Gid),
            None => Name::Group(group.to_owned()),
        };
    }
    match text.strip_prefix('#').and_then(|id| id.parse().ok()) {
        Some(id) => Name::Id(id),
        None if text.starts_with('+') => Name::Elsewhere(text),
        None => Name::Word(text),
    }
}

/// `ALL`, an alias or a word. An escaped word is never an alias.
fn capitals(before: &str, word: String) -> Name {
    let literal = before.starts_with(&word);
    match word.as_str() {
        "ALL" if literal => Name::All,
        w if literal && is_alias(w) => Name::Alias(word),
        _ => Name::Word(word),
    }
}

fn is_alias(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn host(c: &mut Cursor) -> Result<Name, Stop> {
    if c.peek() == Some('+') {
        c.take("+");
        return Ok(Name::Elsewhere(format!("+{}", c.word()?)));
    }
    if c.peek() == Some('"') {
        return Ok(marked(c.quoted()?));
    }
    let before = c.rest();
    // Addresses hold colons and slashes, which end a word.
    let end = before.find(|ch: char| !ch.is_ascii_hexdigit() && !".:/".contains(ch)).unwrap_or(before.len());
    // A colon at the end parts privileges, it is no part of the address.
    let candidate = before[..end].trim_end_matches([':', '/']);
    let (address, _) = candidate.split_once('/').unwrap_or((candidate, ""));
    if address.parse::<std::net::IpAddr>().is_ok() {
        c.take(candidate);
        return Ok(Name::Network(candidate.to_owned()));
    }
    Ok(capitals(before, c.word()?))
}

fn aliases<T>(into: &mut BTreeMap<String, T>, mut c: Cursor, item: impl Fn(&mut Cursor) -> Result<T, Stop>) -> Result<(), Stop> {
    loop {
        let name = c.plain().to_owned();
        if !is_alias(&name) || name == "ALL" {
            return Err(format!("an alias in capitals was expected, not `{name}`"));
        }
        expect(&mut c, "=")?;
        let members = item(&mut c)?;
        // sudo keeps those in front of the fault on a line.
        if into.contains_key(&name) {
            return Err(format!("alias {name} is defined twice"));
        }
        into.insert(name, members);
        if !c.take(":") {
            return end(&mut c);
        }
    }
}

fn commands(c: &mut Cursor) -> Result<Vec<(Signed<Command>, bool)>, Stop> {
    let mut out = Vec::new();
    loop {
        let digest = digests(c)?;
        let negated = c.sign();
        out.push((Signed { negated, item: command(c)? }, digest));
        if !c.take(",") {
            return Ok(out);
        }
    }
}

fn digests(c: &mut Cursor) -> Result<bool, Stop> {
    let mut any = false;
    loop {
        let mut ahead = c.clone();
        if !["sha224", "sha256", "sha384", "sha512"].contains(&ahead.plain()) || !ahead.take(":") {
            return Ok(any);
        }
        ahead.digest()?;
        any = true;
        let mut next = ahead.clone();
        // A comma goes on with digests or, rarely, begins the next command: then it is not ours.
        if next.take(",") && next.clone().plain().starts_with("sha") {
            *c = next;
        } else {
            *c = ahead;
            return Ok(true);
        }
    }
}

fn command(c: &mut Cursor) -> Result<Command, Stop> {
    match c.peek() {
        Some('/') => {
            let path = c.path()?;
            if path.ends_with('/') {
                return Ok(Command::Path(path, Arguments::Any));
            }
            let arguments = arguments(c)?;
            // A path to sudoedit means the built-in.
            Ok(if path.ends_with("/sudoedit") { Command::Edit(arguments) } else { Command::Path(path, arguments) })
        }
        Some('^') => {
            c.regex()?;
            arguments(c).map(|_| Command::Regex)
        }
        _ => {
            let mut ahead = c.clone();
            let word = ahead.plain();
            let whole = ahead.rest().is_empty() || ahead.rest().starts_with([' ', '\t', ',', ':']);
            let found = match word {
                "ALL" if whole => Command::All,
                "list" if whole => Command::List,
                "sudoedit" if whole => {
                    *c = ahead;
                    return arguments(c).map(Command::Edit);
                }
                w if whole && is_alias(w) => Command::Alias(w.to_owned()),
                _ => return Err(format!("a command was expected before `{}`", shown(c.rest()))),
            };
            *c = ahead;
            Ok(found)
        }
    }
}

fn arguments(c: &mut Cursor) -> Result<Arguments, Stop> {
    if c.peek() == Some('^') {
        return c.regex().map(|()| Arguments::Regex);
    }
    Ok(match c.arguments()?.as_str() {
        "" => Arguments::Any,
        "\"\"" => Arguments::None,
        pattern => Arguments::Pattern(pattern.to_owned()),
    })
}

/// What may stand before a command.
const OPTIONS: [&str; 10] =
    ["ROLE", "TYPE", "PRIVS", "LIMITPRIVS", "TIMEOUT", "NOTBEFORE", "NOTAFTER", "CWD", "CHROOT", "APPARMOR_PROFILE"];
const TAGS: [&str; 18] = [
    "NOPASSWD",
    "PASSWD",
    "NOEXEC",
    "EXEC",
    "SETENV",
    "NOSETENV",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "MAIL",
    "NOMAIL",
    "FOLLOW",
    "NOFOLLOW",
    "INTERCEPT",
    "NOINTERCEPT",
    "LOG_SUBCMDS",
    "NOLOG_SUBCMDS",
];

/// Commands with run-as lists, options and tags; each hands them on to the next one.
fn specs(c: &mut Cursor) -> Result<Vec<Spec>, Stop> {
    let mut out: Vec<Spec> = Vec::new();
    loop {
        let mut spec = Spec {
            command: Signed { negated: false, item: Command::All },
            text: String::new(),
            digest: false,
            users: None,
            groups: None,
            myself: false,
            nopasswd: None,
            setenv: None,
            noexec: None,
            timed: false,
        };
        if c.take("(") {
            run_as(c, &mut spec)?;
        }
        loop {
            let mut ahead = c.clone();
            let word = ahead.plain();
            if !OPTIONS.contains(&word) || !ahead.take("=") {
                break;
            }
            *c = ahead;
            c.value()?;
            spec.timed |= word.starts_with("NOT");
        }
        loop {
            let mut ahead = c.clone();
            let word = ahead.plain();
            if !TAGS.contains(&word) || !ahead.take(":") {
                break;
            }
            *c = ahead;
            match word {
                "NOPASSWD" | "PASSWD" => spec.nopasswd = Some(word == "NOPASSWD"),
                "SETENV" | "NOSETENV" => spec.setenv = Some(word == "SETENV"),
                "NOEXEC" | "EXEC" => spec.noexec = Some(word == "NOEXEC"),
                _ => {}
            }
        }
        let begin = c.blanks().rest();
        spec.digest = digests(c)?;
        spec.command.negated = c.sign();
        spec.command.item = command(c)?;
        spec.text = begin[..begin.len() - c.rest().len()].trim().to_owned();
        if let Some(last) = out.last() {
            if spec.users.is_none() && spec.groups.is_none() && !spec.myself {
                (spec.users, spec.groups, spec.myself) = (last.users.clone(), last.groups.clone(), last.myself);
            }
            spec.nopasswd = spec.nopasswd.or(last.nopasswd);
            spec.setenv = spec.setenv.or(last.setenv);
            spec.noexec = spec.noexec.or(last.noexec);
            spec.timed |= last.timed;
        }
        out.push(spec);
        if !c.take(",") {
            return Ok(out);
        }
    }
}

fn run_as(c: &mut Cursor, spec: &mut Spec) -> Result<(), Stop> {
    if c.peek() != Some(':') && c.peek() != Some(')') {
        spec.users = Some(list(c, |c| name(c, false))?);
    }
    if c.take(":") && c.peek() != Some(')') {
        spec.groups = Some(list(c, |c| name(c, true))?);
    }
    spec.myself = spec.users.is_none() && spec.groups.is_none();
    expect(c, ")")
}
