//! Model to plan: what each machine must hold, and why each line is there. In come a valid [`site::Model`] and the machines'
//! device names, out comes a [`Plan`] so complete that nothing is decided while it is carried out.
//!
//! | module | idea |
//! |---|---|
//! | [`types`] | the plan's own types |
//! | [`device`] | which device stands in which zone |
//!
//! Pure: no clock, network, file system or process. Never: prints, applies, or opens what no flow of the model asks for.

pub mod device;
pub mod types;

pub use device::Devices;
pub use types::{MachinePlan, Options, Plan, Role, RuleInfo, Sysctl, SysctlPhase, SysctlRule, Thresholds};

/// Name of the one table Ravelin owns, in family `inet`.
pub const TABLE: &str = "ravelin";
