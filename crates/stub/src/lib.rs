//! What a stand-in is told, and what it says. In comes a model's instance, out comes its [`Profile`] as JSON; back come lines of
//! [`Said`]. The program itself (`main.rs`) is no part of the product: it runs in machines of the VM lab alone. Never: a
//! service's name in a branch, what differs between services is data.

#[cfg(feature = "derive")]
pub mod derive;
pub mod profile;
pub mod said;

pub use profile::Profile;
pub use said::Said;

/// Variable that names the profile.
pub const PROFILE: &str = "RAVELIN_STUB_PROFILE";
/// Variable that names the file in which orders for a taken-over service appear.
pub const ORDERS: &str = "RAVELIN_STUB_ORDERS";
/// Variable that makes it wait for a tracer before it begins.
pub const TRACED: &str = "RAVELIN_STUB_TRACED";
