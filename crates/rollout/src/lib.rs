//! One transaction over many machines: stage, probe with real packets, confirm, or everything goes back by itself.
//!
//! Stands at **apply** of the product's line, above the machines. In come sealed bundles and the ways to their machines, out comes what became
//! of each. The core decides and has no clock; the driver does and makes no choices.
//!
//! | module | idea |
//! |---|---|
//! | [`step`] | the steps: the one list that the code and the crash tests walk |
//! | [`times`] | how long each may take, and what follows for the machines' timers |
//! | [`wave`], [`mod@order`] | who changes with whom, and when |
//! | [`ask`] | what is asked of a machine, and what its answer means |
//! | [`machine`] | the state machine of the transaction |
//! | [`report`] | what became of it |
//! | [`transport`] | how a machine's applier is reached |
//! | [`driver`] | does what the state machine orders |
//! | [`ledger`] | who changed what, when, and what was proved: only ever added to |
//! | [`inject`] | the coordinator dies on purpose |
//!
//! Never: parses the site file, plans, seals or signs a bundle (the caller does), or keeps a change that one machine of it could not be asked about.

pub mod ask;
pub mod driver;
pub mod inject;
pub mod ledger;
pub mod machine;
pub mod order;
pub mod report;
pub mod step;
pub mod times;
pub mod transport;
pub mod wave;

pub use driver::{Begun, Book, Bundles, Driver, Prove, Unwatched, Watch};
pub use inject::Injection;
pub use machine::{Agreed, Event, Line, Machine, Order, Partial, Setup};
pub use report::{Failure, Outcome, Place, Report};
pub use step::Step;
pub use times::Times;
pub use transport::{Transport, Unreachable};
pub use wave::{Class, Planned, Target, Wave};
