//! The service catalogue: what each service listens on, whom it must reach and why, under which account, with which
//! secrets on disk. In come the data files in `services/` (one per service, every fact with source and date), out
//! come typed [`Service`]s. A service of the operator's own uses the same form.
//!
//! Pure: the data is compiled in. Never: decides who may talk to whom on a given site (that is `site`).

pub mod service;

pub use service::{
    Access, Account, App, Auth, Bind, Class, Egress, Endpoint, Intended, PathEntry, PathKind, Peer, PortDefault, Role, Scope, Secret, Service,
    Setting, Trap, When,
};
