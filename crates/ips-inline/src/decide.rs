//! From what the engine found to what the kernel is told. In come the packet's mark, the policy and the engine's judgement, out come verdict and
//! mark. Pure. Never: lets a suspect flow leave, drops where the policy observes.

use crate::policy::{Inspect, Mode, Policy};
use ips_engine::{Fate, Judged, Over, Standing};
use sys::queue::Verdict;
use words::mark::{Mark, State};

/// Why a flow leaves the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Leaves {
    /// Nothing is left to see.
    Over(Over),
    /// It has carried as many bytes as are looked at.
    Bytes,
}

impl Leaves {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Over(o) => o.name(),
            Self::Bytes => "bytes",
        }
    }
}

/// What the kernel is told of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// It goes on or not.
    pub verdict: Verdict,
    /// With this mark.
    pub mark: u32,
    /// Its flow leaves the engine with it.
    pub leaves: Option<Leaves>,
}

/// Decides. `word`: the packet's mark as it came.
pub fn decide(word: u32, policy: &Policy, judged: &Judged) -> Decision {
    let mark = Mark::read(word).judged();
    let told = |state| mark.in_state(state).into(word);
    if judged.fate == Fate::Drop && policy.mode == Mode::Enforce {
        // Refused packets go on to the next chain, which answers for them and keeps the state: the kernel does not ask again.
        let refused = judged.tell != (false, false);
        let (verdict, state) = if refused { (Verdict::Accept, State::Refused) } else { (Verdict::Drop, State::Suspect) };
        return Decision { verdict, mark: told(state), leaves: None };
    }
    let Some(standing) = judged.standing else {
        // Of a tunnel's or a fragment's flow nothing is said: it stays what it was.
        let state = if mark.state == State::Suspect { State::Suspect } else { State::Inspecting };
        return Decision { verdict: Verdict::Accept, mark: told(state), leaves: None };
    };
    let leaves = leaves(policy.inspect, &standing, mark.state);
    let state = match leaves {
        Some(_) => State::Bypassed,
        None if standing.suspect || mark.state == State::Suspect => State::Suspect,
        None => State::Inspecting,
    };
    Decision { verdict: Verdict::Accept, mark: told(state), leaves }
}

fn leaves(inspect: Inspect, standing: &Standing, before: State) -> Option<Leaves> {
    if standing.suspect || before == State::Suspect {
        return None;
    }
    match inspect {
        Inspect::All => None,
        Inspect::UntilOpaque => standing.over.map(Leaves::Over),
        Inspect::Bytes(most) => standing.over.map(Leaves::Over).or((standing.bytes >= most).then_some(Leaves::Bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr};
    use words::mark::{OURS, STATE, WANTED};

    fn standing(suspect: bool, over: Option<Over>, bytes: u64) -> Standing {
        let end = (IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
        Standing { flow: 1, ends: (end, end), protocol: 6, suspect, left: false, over, bytes }
    }

    fn judged(drop: bool, tell: (bool, bool), standing: Option<Standing>) -> Judged {
        Judged { fate: if drop { Fate::Drop } else { Fate::Accept }, tell, would_drop: false, standing }
    }

    fn policy(mode: Mode, inspect: Inspect) -> Policy {
        Policy { name: String::new(), mode, inspect }
    }

    #[test]
    fn a_drop_is_silent_and_a_reject_is_left_to_the_kernel() {
        let p = policy(Mode::Enforce, Inspect::UntilOpaque);
        let d = decide(WANTED, &p, &judged(true, (false, false), None));
        assert_eq!(d.verdict, Verdict::Drop);
        let d = decide(WANTED, &p, &judged(true, (true, true), Some(standing(true, None, 0))));
        assert_eq!((d.verdict, Mark::read(d.mark).state), (Verdict::Accept, State::Refused));
    }

    #[test]
    fn how_long_a_flow_is_looked_at_is_policy() {
        let opaque = judged(false, (false, false), Some(standing(false, Some(Over::Opaque), 5000)));
        let bulk = judged(false, (false, false), Some(standing(false, None, 5000)));
        for (inspect, of_opaque, of_bulk) in [
            (Inspect::All, None, None),
            (Inspect::UntilOpaque, Some(Leaves::Over(Over::Opaque)), None),
            (Inspect::Bytes(5001), Some(Leaves::Over(Over::Opaque)), None),
            (Inspect::Bytes(5000), Some(Leaves::Over(Over::Opaque)), Some(Leaves::Bytes)),
        ] {
            let p = policy(Mode::Enforce, inspect);
            assert_eq!(decide(WANTED, &p, &opaque).leaves, of_opaque, "{inspect}");
            let d = decide(WANTED, &p, &bulk);
            assert_eq!(d.leaves, of_bulk, "{inspect}");
            assert_eq!(Mark::read(d.mark).state == State::Bypassed, of_bulk.is_some());
        }
    }

    fn over() -> impl Strategy<Value = Option<Over>> {
        prop_oneof![Just(None), Just(Some(Over::Passed)), Just(Some(Over::Opaque)), Just(Some(Over::Deep))]
    }

    fn inspect() -> impl Strategy<Value = Inspect> {
        prop_oneof![Just(Inspect::All), Just(Inspect::UntilOpaque), any::<u64>().prop_map(Inspect::Bytes)]
    }

    proptest! {
        #[test]
        fn what_holds_for_all(word: u32, enforce: bool, inspect in inspect(), drop: bool, tell: (bool, bool), there: bool, suspect: bool, over in over(), bytes: u64) {
            let mode = if enforce { Mode::Enforce } else { Mode::Observe };
            let j = judged(drop, tell, there.then(|| standing(suspect, over, bytes)));
            let d = decide(word, &policy(mode, inspect), &j);
            let state = Mark::read(d.mark).state;
            prop_assert_eq!(d.mark & WANTED, 0, "it was judged");
            prop_assert_eq!(d.mark & !OURS, word & !OURS, "other software's bits stay");
            prop_assert_eq!(d.mark & words::mark::POLICY, word & words::mark::POLICY);
            prop_assert!(enforce || d.verdict == Verdict::Accept && state != State::Refused, "observing drops nothing");
            prop_assert!(d.verdict == Verdict::Accept || drop, "what the engine lets on goes on");
            if suspect && there || word & STATE == State::Suspect.bits() || drop && enforce {
                prop_assert!(d.leaves.is_none() && state != State::Bypassed, "a suspect flow stays");
            }
            prop_assert_eq!(d.leaves.is_some(), state == State::Bypassed);
        }
    }
}
