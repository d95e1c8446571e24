//! The policy as a type. Comes out of [`crate::parse`], goes into [`crate::ask`]. Never: an opinion.

use std::collections::BTreeMap;

/// Where something stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// A member of a list with its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<T> {
    /// An odd number of `!` stands before it.
    pub negated: bool,
    /// The member.
    pub item: T,
}

/// A list; the last member that matches decides.
pub type List<T> = Vec<Signed<T>>;

/// A user, run-as user, run-as group or host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `ALL`.
    All,
    /// In capitals: an alias if there is one of that name, else a plain word.
    Alias(String),
    /// A plain word.
    Word(String),
    /// `#1000`; of a group list, a gid.
    Id(u32),
    /// `%group`.
    Group(String),
    /// `%#1000`.
    Gid(u32),
    /// `+netgroup`, `%:group` of another directory: cannot be decided from files.
    Elsewhere(String),
    /// An address with or without mask, as written.
    Network(String),
}

/// What follows a command's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// Nothing written: any.
    Any,
    /// `""`: none at all.
    None,
    /// A shell pattern.
    Pattern(String),
    /// `^...$`.
    Regex,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `ALL`.
    All,
    /// An alias.
    Alias(String),
    /// A path or pattern; one that ends in `/` is every program of that directory.
    Path(String, Arguments),
    /// `^...$` as the path.
    Regex,
    /// `sudoedit`.
    Edit(Arguments),
    /// `list`: shows rules, runs nothing.
    List,
}

/// A command of a specification with what stands before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The command.
    pub command: Signed<Command>,
    /// As written, for people.
    pub text: String,
    /// Holds only for a file with a digest.
    pub digest: bool,
    /// Run-as users; `None` where none are written.
    pub users: Option<List<Name>>,
    /// Run-as groups; `None` where none are written.
    pub groups: Option<List<Name>>,
    /// `()`: as oneself.
    pub myself: bool,
    /// `NOPASSWD` or `PASSWD`.
    pub nopasswd: Option<bool>,
    /// `SETENV` or `NOSETENV`.
    pub setenv: Option<bool>,
    /// `NOEXEC` or `EXEC`.
    pub noexec: Option<bool>,
    /// `NOTBEFORE` or `NOTAFTER`: the clock decides.
    pub timed: bool,
}

/// `hosts = specs` of a user specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Privilege {
    /// Hosts.
    pub hosts: List<Name>,
    /// Commands, in order.
    pub specs: Vec<Spec>,
}

/// A user specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// Where it stands.
    pub place: Place,
    /// Users.
    pub users: List<Name>,
    /// What they may.
    pub privileges: Vec<Privilege>,
}

/// What a `Defaults` line binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    All,
    /// `Defaults:users`.
    Users(List<Name>),
    /// `Defaults@hosts`.
    Hosts(List<Name>),
    /// `Defaults>runas`.
    RunAs(List<Name>),
    /// `Defaults!commands`.
    Commands(List<Command>),
}

/// One setting of a `Defaults` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it stands.
    pub place: Place,
    /// Whom it binds.
    pub scope: Scope,
    /// Name.
    pub name: String,
    /// `false` where it is switched off with `!`.
    pub on: bool,
    /// `=`, `+` or `-` with a value.
    pub value: Option<(char, String)>,
}

/// A line that did not read. sudo leaves such a line out, or parts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub why: String,
}

/// The whole policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Specifications in order.
    pub specs: Vec<UserSpec>,
    /// Settings in order.
    pub settings: Vec<Setting>,
    /// User aliases.
    pub user_aliases: BTreeMap<String, List<Name>>,
    /// Run-as aliases.
    pub runas_aliases: BTreeMap<String, List<Name>>,
    /// Host aliases.
    pub host_aliases: BTreeMap<String, List<Name>>,
    /// Command aliases; the digest flag of each command is kept beside it.
    pub command_aliases: BTreeMap<String, Vec<(Signed<Command>, bool)>>,
    /// What did not read.
    pub unread: Vec<Unread>,
}
