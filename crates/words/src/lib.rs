//! The words the product speaks in. Everything stands on this crate and it stands on nothing of ours.
//!
//! | module | the word |
//! |---|---|
//! | [`name`] | names of zones, hosts, services: checked once, then trusted |
//! | [`net`] | address family, protocol, port ranges and sets |
//! | [`digest`] | SHA-256 digests and the generations of applied states |
//! | [`origin`] | which line of the site file, catalogue entry or built-in rule a fact comes from |
//! | [`mark`] | the connection mark: one layout for the whole product |
//! | [`star`] | patterns with stars |
//! | [`word`] | values of one word each: printed and read |
//! | [`url`] | where an API listens, never with a secret in it |
//! | [`diag`] | diagnostics: the user's input, cited with carets, with a way out |
//!
//! Pure: no clock, network, file system or process.

pub mod diag;
pub mod digest;
pub mod mark;
pub mod name;
pub mod net;
pub mod origin;
pub mod star;
pub mod url;
pub mod word;

pub use diag::{Code, Diagnostic, Label, Severity, SourceFile, Span};
pub use digest::{Digest, Generation};
pub use name::{AccountName, EndpointName, GroupName, HostName, InstanceName, KeyName, NameError, ServiceName, ZoneName};
pub use net::{Family, PortParseError, PortRange, PortSet, Proto, ProtoPorts};
pub use origin::Origin;
pub use url::{ApiUrl, Scheme, UrlError};
