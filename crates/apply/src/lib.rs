//! A verified bundle onto this machine, as one transaction that ends in the new state or in the last known good one.
//!
//! | module | does |
//! |---|---|
//! | [`step`] | the steps, in order: the one list that the code and the failure tests walk |
//! | [`transaction`] | walks them |
//! | [`inject`] | fails on purpose after a step |
//! | [`trust`] | whom this machine believes: nothing unsigned is taken where it has a trust |
//! | [`state`] | the state directory: confirmed, pending, generation, journal |
//! | [`nft`] | hands scripts to nft, reads its answers |
//! | [`ufw`] | Ravelin's rules among UFW's |
//! | [`snapshot`] | what was there, as text, and putting it back |
//! | [`settings`] | kernel settings |
//! | [`addresses`] | addresses of ours on devices, and the record of which are ours |
//! | [`files`] | files of our own under `/etc`, and who is told of them |
//! | [`pair`] | what a redundant pair's programs are asked |
//! | [`changed`] | connections that live through a change of a pair's nodes |
//! | [`daemons`] | a pair's daemons with their files, or as they were before |
//! | [`systemctl`] | systemd told and asked, in bounded time |
//! | [`modes`] | modes that systemd-tmpfiles closes, kept before |
//! | [`flows`] | connections under way before the first apply |
//! | [`read_back`] | what the kernel holds against what was meant |
//! | [`probe`] | what must work afterwards |
//! | [`trial`] | connections tried, for a rollout over many machines |
//! | [`way_in`] | whether a confirmation proves that the way in works |
//! | [`came_by`] | what the confirming process was started through |
//! | [`timer`] | the revert timer: a process of its own that outlives everybody |
//! | [`revert`] | back to the last known good |
//! | [`boot`] | after a power loss; break-glass |
//! | [`glass`] | break-glass' way past UFW |
//! | [`cut`] | ends tracked connections it is given, never the way in |
//! | [`status`] | the state for people and programs |
//!
//! Never parses the site file, never uses the network except for its probes, never touches another table than
//! `inet ravelin`, no file that is not its own and, in UFW's chains of people's rules, no rule that is not its own (break-glass
//! puts one of its own before UFW's chains and takes it away again); decides
//! nothing: what to do stands in the bundle.

pub mod addresses;
pub mod boot;
pub mod came_by;
pub mod changed;
pub mod cut;
pub mod daemons;
pub mod error;
pub mod files;
pub mod flows;
pub mod glass;
pub mod inject;
pub mod modes;
pub mod nft;
pub mod pair;
pub mod probe;
pub mod read_back;
pub mod revert;
pub mod settings;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod step;
pub mod systemctl;
pub mod timer;
pub mod transaction;
pub mod trial;
pub mod trust;
pub mod ufw;
pub mod way_in;

pub use error::Error;
pub use step::Step;
