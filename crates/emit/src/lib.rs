//! Plan to artefacts, one module per target. In comes what a machine must hold, out comes text that the target's own tool
//! accepts. Never: decides anything; what is not in the plan is in no artefact.
//!
//! | module | target |
//! |---|---|
//! | [`nft`] | one atomic nft script |
//! | [`ufw`] | UFW's rule files and application profiles |
//! | [`sysctl`] | a `sysctl.d` file |
//! | [`address`] | addresses of an edge node, for `ip -batch` |
//! | [`keepalived`], [`conntrackd`], [`pair`] | a pair's daemons, and both as files of a bundle |
//! | [`accounts`] | `sysusers.d` and `tmpfiles.d` |
//! | [`containers`] | compose overrides, Quadlets and units of containers |
//! | [`systemd`] | units and drop-ins |
//! | [`selinux`] | CIL modules |
//! | [`own`] | the system layer as files of a bundle |
//! | [`flows`] | flow lists: CSV, JSON, Aerleon |
//! | [`render`] | all of it as plain files |
//! | [`mod@bundle`] | the draft of a machine's bundle |

pub mod accounts;
pub mod address;
pub mod bundle;
pub mod conntrackd;
pub mod containers;
pub mod flows;
pub mod keepalived;
pub mod nft;
pub mod own;
pub mod pair;
pub mod render;
pub mod selinux;
pub mod sysctl;
pub mod systemd;
pub mod ufw;
