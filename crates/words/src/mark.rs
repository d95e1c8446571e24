//! The connection mark: one 32-bit layout for the whole product. In come fields, out comes the word the kernel keeps with a connection, and
//! back. The packet mark has the same layout, so that one can be compared with the other. Never: touches a bit outside of [`OURS`], which are
//! other software's (`docs/connection-mark.md`).

/// Which policy judges the connection: a number per pair of zones, 0 for none.
pub const POLICY: u32 = 0xff00_0000;
/// The packet is to be judged by the engine (packet mark only: a connection never keeps it).
pub const WANTED: u32 = 0x0000_2000;
/// How far inspection has come.
pub const STATE: u32 = 0x0000_1c00;
/// What is spoken.
pub const APPLICATION: u32 = 0x0000_03f0;
/// Where nobody judges the packet, it goes on (packet mark only).
pub const OPEN: u32 = 0x0000_0008;
/// Generation of the policy that let the connection in, its lowest three bits.
pub const GENERATION: u32 = 0x0000_0007;
/// Every bit that is Ravelin's. Not among them: `0x00ff0000` (Tailscale) and `0x0000c000` (Kubernetes' proxy).
pub const OURS: u32 = POLICY | WANTED | STATE | APPLICATION | OPEN | GENERATION;

/// How far inspection of a connection has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nobody has looked yet, or nobody has to.
    #[default]
    New,
    /// The engine has seen it and let it go on: what it carries next is looked at too.
    Inspecting,
    /// Nothing that rules could say of it is left to see: the kernel keeps it to itself.
    Bypassed,
    /// It was refused: nothing of it goes on, the engine is not asked again.
    Refused,
    /// A rule has spoken of it: it is never left to itself.
    Suspect,
}

impl State {
    /// All of them, by their numbers.
    pub const ALL: [Self; 5] = [Self::New, Self::Inspecting, Self::Bypassed, Self::Refused, Self::Suspect];

    /// In place, for comparison under [`STATE`].
    pub const fn bits(self) -> u32 {
        (self as u32) << STATE.trailing_zeros()
    }
    /// Of a mark; `None` for a number that means nothing.
    pub fn of(mark: u32) -> Option<Self> {
        Self::ALL.get(((mark & STATE) >> STATE.trailing_zeros()) as usize).copied()
    }
    /// As events and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Inspecting => "inspecting",
            Self::Bypassed => "bypassed",
            Self::Refused => "refused",
            Self::Suspect => "suspect",
        }
    }
}

/// The fields of a mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Which policy, 0 for none.
    pub policy: u8,
    /// The packet is for the engine.
    pub wanted: bool,
    /// Where the engine does not judge it, it goes on.
    pub open: bool,
    /// How far inspection has come.
    pub state: State,
    /// What is spoken, 0 where that is not known; six bits.
    application: u8,
    /// Three bits of the generation.
    generation: u8,
}

/// A number too large for its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} {number} does not fit into the connection mark")]
pub struct TooLarge {
    /// The field.
    pub field: &'static str,
    /// The number.
    pub number: u8,
}

impl Mark {
    /// Of a policy that nobody has judged by yet.
    pub fn of_policy(policy: u8) -> Self {
        Self { policy, ..Self::default() }
    }
    /// Reads the fields of a word; other software's bits do not matter. A state that means nothing counts as new: it is looked at.
    pub fn read(word: u32) -> Self {
        let field = |mask: u32| u8::try_from((word & mask) >> mask.trailing_zeros()).unwrap_or(u8::MAX);
        Self {
            policy: field(POLICY),
            wanted: word & WANTED != 0,
            open: word & OPEN != 0,
            state: State::of(word).unwrap_or_default(),
            application: field(APPLICATION),
            generation: field(GENERATION),
        }
    }
    /// The fields in place, every other bit zero.
    pub fn bits(self) -> u32 {
        let put = |number: u8, mask: u32| (u32::from(number) << mask.trailing_zeros()) & mask;
        put(self.policy, POLICY)
            | if self.wanted { WANTED } else { 0 }
            | if self.open { OPEN } else { 0 }
            | self.state.bits()
            | put(self.application, APPLICATION)
            | put(self.generation, GENERATION)
    }
    /// Written into a word: other software's bits stay.
    pub fn into(self, word: u32) -> u32 {
        word & !OURS | self.bits()
    }
    /// What is spoken, 0 where that is not known.
    pub fn application(self) -> u8 {
        self.application
    }
    /// Three bits of the generation.
    pub fn generation(self) -> u8 {
        self.generation
    }
    /// With an application.
    ///
    /// # Errors
    /// Where the number needs more than six bits.
    pub fn with_application(self, number: u8) -> Result<Self, TooLarge> {
        if u32::from(number) > APPLICATION >> APPLICATION.trailing_zeros() {
            return Err(TooLarge { field: "application", number });
        }
        Ok(Self { application: number, ..self })
    }
    /// With a generation, of which the lowest three bits are kept: enough to tell neighbours apart.
    #[must_use]
    pub fn with_generation(self, generation: u64) -> Self {
        Self { generation: (generation & u64::from(GENERATION)) as u8, ..self }
    }
    /// Nobody waits for the engine any more.
    #[must_use]
    pub fn judged(self) -> Self {
        Self { wanted: false, open: false, ..self }
    }
    /// In another state.
    #[must_use]
    pub fn in_state(self, state: State) -> Self {
        Self { state, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_do_not_overlap_and_leave_the_others_alone() {
        let fields = [POLICY, WANTED, STATE, APPLICATION, OPEN, GENERATION];
        assert_eq!(fields.iter().map(|f| f.count_ones()).sum::<u32>(), OURS.count_ones());
        for (name, theirs) in [("tailscale", 0x00ff_0000), ("kube-proxy", 0xc000)] {
            assert_eq!(OURS & theirs, 0, "{name}");
        }
    }

    #[test]
    fn states_have_places_of_their_own() {
        let mut all: Vec<u32> = State::ALL.iter().map(|s| s.bits()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), State::ALL.len());
        for s in State::ALL {
            assert_eq!((State::of(s.bits()), s.bits() & !STATE), (Some(s), 0));
        }
        assert_eq!(State::of(STATE), None);
        assert_eq!(Mark::read(STATE).state, State::New, "what means nothing is looked at");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Mark::default().with_application(63).map(Mark::application), Ok(63));
        assert_eq!(Mark::default().with_application(64), Err(TooLarge { field: "application", number: 64 }));
        assert_eq!(Mark::default().with_generation(0x1_0013).generation(), 3);
    }

    proptest! {
        #[test]
        fn fields_come_back_and_other_bits_stay(policy: u8, wanted: bool, open: bool, state in 0usize..5, app in 0u8..64, generation: u64, word: u32) {
            let mark = Mark { policy, wanted, open, state: State::ALL[state], ..Mark::default() };
            let mark = mark.with_application(app).expect("six bits").with_generation(generation);
            let written = mark.into(word);
            prop_assert_eq!(Mark::read(written), mark);
            prop_assert_eq!(written & !OURS, word & !OURS);
        }
    }
}
