//! The service catalogue: what each service listens on, whom it must reach and why, under which account, with which
//! secrets on disk. In come the data files in `services/` (one per service, every fact with source and date), out
//! come typed [`Service`]s. A service of the operator's own uses the same form.
//!
//! | module | what it is |
//! |---|---|
//! | [`service`] | the form of an entry |
//! | [`load`] | text to entry, total, with the place of what is wrong |
//! | [`need`] | exceptions from the strictest sandbox |
//! | [`unit`] | how systemd runs a service |
//! | [`recognise`] | which entry a process, unit or image may be |
//! | [`check`] | what must hold of one entry and of all together |
//! | [`builtin`] | the compiled-in entries |
//!
//! Pure: the data is compiled in. Never: decides who may talk to whom on a given site (that is `site`).

mod builtin;
pub mod check;
pub mod load;
pub mod need;
mod port;
pub mod recognise;
pub mod service;
pub mod unit;

pub use builtin::builtin;
pub use load::{CatalogError, from_table, parse};
pub use need::{Need, NeedEntry};
pub use service::{
    Access, Account, App, Auth, Bind, Class, Egress, Endpoint, Intended, PathEntry, PathKind, Peer, Permission, PortDefault, Role, Scope,
    Secret, Service, Setting, Token, Trap, When,
};
pub use unit::{Health, Restart, StartLimit, Unit, UnitType, Wrong};
