//! TCP: segments in, both directions' bytes out, as the two ends see them.
//!
//! | module | what |
//! |---|---|
//! | [`session`] | which state both ends are in, and which packets they take |
//! | [`buffer`] | bytes of one direction, in order |
//! | [`policy`] | whose bytes count where segments overlap |
//! | [`event`] | what was unusual, by the peer's names |

pub mod buffer;
pub mod event;
mod paws;
pub mod policy;
pub mod seq;
pub mod session;
mod side;

pub use event::{StreamEvent, StreamEvents};
pub use session::{Session, State, Taken};
pub use side::Side;

/// What is done with a byte that the urgent pointer points at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Urgent {
    /// It is out of band: the stream goes on without it.
    #[default]
    OutOfBand,
    /// It is a byte as any other.
    Inline,
    /// The packet is dropped (inline only).
    Drop,
    /// It leaves a gap.
    Gap,
}

/// What is done with a flow of which something cannot be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exception {
    /// Inline it is dropped, else nothing.
    #[default]
    Auto,
    /// Nothing.
    Ignore,
    /// It goes through without rules.
    PassFlow,
    /// It goes through without anything.
    Bypass,
    /// Inline it is dropped.
    DropFlow,
    /// As [`Exception::DropFlow`], and the sender is told.
    Reject,
}

impl Exception {
    /// All there are, in the order of [`Exception::index`].
    pub const ALL: [Self; 6] = [Self::Auto, Self::Ignore, Self::PassFlow, Self::Bypass, Self::DropFlow, Self::Reject];

    /// Its place in counts.
    pub fn index(self) -> usize {
        self as usize
    }

    /// As events name it; `inline` decides what the automatic one means.
    pub fn name(self, inline: bool) -> &'static str {
        match self {
            Self::Auto if inline => "drop_flow",
            Self::Auto | Self::Ignore => "ignore",
            Self::PassFlow => "pass_flow",
            Self::Bypass => "bypass",
            Self::DropFlow => "drop_flow",
            Self::Reject => "reject",
        }
    }

    /// By the peer's name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "ignore" => Self::Ignore,
            "pass-flow" => Self::PassFlow,
            "bypass" => Self::Bypass,
            "drop-flow" => Self::DropFlow,
            "reject" => Self::Reject,
            _ => return None,
        })
    }
}

/// How streams are followed. Defaults are the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes count when they are seen, not when they are acknowledged, and what came first stays: what the receiver gets is ours to say.
    pub inline: bool,
    /// Conversations are taken up without their beginning.
    pub midstream: bool,
    /// What is done with conversations whose beginning was not seen.
    pub midstream_policy: Exception,
    /// Conversations of which only one direction is seen are followed.
    pub async_oneside: bool,
    /// Bytes of each direction that are looked at; 0 for all.
    pub depth: u64,
    /// Bytes that are waited for before rules on the stream look at them: to the server, to the client.
    pub chunk: [u64; 2],
    /// Whose bytes count where segments overlap.
    pub policy: policy::Policy,
    /// Segments with wrong checksums are not taken.
    pub checksums: bool,
    /// Inline: a packet that the receiver would not take is dropped.
    pub drop_invalid: bool,
    /// Bytes that the urgent pointer points at.
    pub urgent: Urgent,
    /// Bytes that the buffers of all streams may hold.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inline: false,
            midstream: false,
            midstream_policy: Exception::Auto,
            async_oneside: false,
            depth: 1 << 20,
            chunk: [2560, 2560],
            policy: policy::Policy::Bsd,
            checksums: true,
            drop_invalid: true,
            urgent: Urgent::OutOfBand,
            memory: 256 << 20,
        }
    }
}
