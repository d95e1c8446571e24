//! Rolling out to many machines, for the verbs that do: what is planned and proved for them, the way to them, the ledger, and what is shown.
//! The transaction itself is `rollout`'s. Never: decides whether a machine goes forward or back.
//!
//! | module | does |
//! |---|---|
//! | [`planner`] | plans, seals and proves for the machines that answer |
//! | [`reported`] | what the machines report of themselves |
//! | [`way`] | how machines are reached |
//! | [`books`] | the ledger and the operator's keys |
//! | [`show`] | progress and the report |

pub mod books;
pub mod planner;
pub mod reported;
pub mod show;
pub mod way;
