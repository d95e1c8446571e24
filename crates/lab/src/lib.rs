//! The lab: a whole site on this machine, in namespaces of its own, with an Internet and attackers.
//!
//! Stands at **apply -> observe** of the product's line: what was proven and applied is tried with packets. In comes a
//! [`site::model::Model`]; out come namespaces that behave like the site, and the verdicts of real kernels. A tour:
//! - [`topology`] decides which nodes, links, addresses and routes a model means (pure);
//! - [`enter`] moves the running program into namespaces of its own, [`fence`] keeps the machine's root off the machine;
//! - [`build`] makes a topology there, [`space`] runs things in one of its nodes;
//! - [`listen`] opens real sockets, [`connect`] uses them;
//! - [`foreign`] puts rules of others beside ours, and says in plain words what they refuse;
//! - [`packet`] writes single packets, [`volley`] fires many and accounts for every one of them;
//! - [`pair`] runs a redundant pair's daemons and measures what a change of nodes costs;
//! - [`chain`] answers as a chain node does about proving deadlines;
//! - [`count`] reads what each rule and element counted.
//!
//! Never: touches the network, the firewall or the accounts of the machine it runs on.

pub mod attempt;
pub mod build;
pub mod chain;
pub mod connect;
pub mod count;
pub mod demo;
pub mod engine;
pub mod enter;
pub mod error;
pub mod expect;
pub mod fence;
pub mod foreign;
pub mod listen;
pub mod opinion;
pub mod outside;
pub mod packet;
pub mod pair;
pub mod random;
pub mod space;
pub mod stage;
pub mod stand;
pub mod topology;
pub mod trial;
pub mod truth;
pub mod volley;

pub use build::Lab;
pub use error::LabError;
