//! Takeover analysis on one machine: which ways lead from a service's account to uid 0 or to another service's secrets. In
//! come the facts of a machine, out comes a [`Closure`]: a graph whose edges carry technique and evidence, and for each
//! account every shortest way through it.
//!
//! | module | what it is |
//! |---|---|
//! | [`graph`] | nodes, edges, evidence |
//! | [`technique`] | the ways up by name, and what closes each |
//! | [`access`] | who may do what with a path: owner, group, others, access lists, directories above, links |
//! | [`machine`] | the facts as edges ask for them |
//! | [`edges`] | one technique, one file: facts to edges |
//! | [`search`] | ways through the graph |
//! | [`wanted`](mod@wanted) | which files and paths the observer should look at |
//! | [`text`] | a closure for people |
//! | [`fix`] | what would close each way, as data |
//!
//! The fixpoint is our own: edges of an account are made when the search first reaches it, each at most once, so the work is
//! bounded by the accounts of the machine. A Datalog engine would bring its own language for a rule set that is mostly reading
//! of configuration, and would still have to be taught to carry evidence.
//!
//! Unknown is not no: an edge that could not be decided is an edge, marked as uncertain. Never: looks at the machine. Sandboxes
//! of units are not counted: an account reached through cron or a login has none of them.

pub mod access;
pub mod edges;
pub mod fix;
pub mod graph;
pub mod machine;
pub mod search;
pub mod technique;
pub mod text;
pub mod wanted;

pub use fix::{Fix, Step, fixes};
pub use graph::{Closure, Edge, Evidence, Node, Weakness};
pub use machine::Machine;
pub use technique::Technique;
pub use wanted::{Wanted, wanted, wanted_paths};

use facts::Facts;

/// The closure of every service account of this machine.
pub fn closure(facts: &Facts) -> Closure {
    search::closure(&Machine::new(facts))
}
