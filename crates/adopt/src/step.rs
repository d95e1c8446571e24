//! The steps of a move, and which one is next. In come the marks of the journal, out comes what to do now. Pure: a move that was cut
//! off goes on from its marks alone. Never: forgets a step that was begun.

use serde::{Deserialize, Serialize};

/// One step, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The account and its directories are there.
    Accounts,
    /// The service stands still.
    Stop,
    /// Its repository is at the place the site has for it.
    Relocate,
    /// Its files are the account's.
    Own,
    /// The drop-in is in place and systemd knows it.
    Swap,
    /// The service runs.
    Start,
    /// It is active as its account, and listens.
    Health,
    /// Nobody logs in as its account any more.
    Close,
}

impl Step {
    /// All, in order.
    pub const ALL: [Step; 8] = [Step::Accounts, Step::Stop, Step::Relocate, Step::Own, Step::Swap, Step::Start, Step::Health, Step::Close];
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// It may have changed something.
    Begun(Step),
    /// It is done.
    Done(Step),
    /// It failed, or the way back was asked for: everything goes back.
    Back(String),
    /// It was taken back.
    TakenBack(Step),
    /// It was declared done: the old copy of the repository is gone, and with it the way back.
    Closed,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// This step, from its beginning.
    Do(Step),
    /// Take this step back.
    TakeBack(Step),
    /// All is done.
    Moved,
    /// All is as before.
    Returned,
}

/// The next act after these marks. Whatever is done twice gives the same as once.
pub fn next(marks: &[Mark]) -> Act {
    let has = |m: Mark| marks.contains(&m);
    if marks.iter().any(|m| matches!(m, Mark::Back(_))) {
        let left = Step::ALL.into_iter().rev().find(|s| has(Mark::Begun(*s)) && !has(Mark::TakenBack(*s)));
        return left.map_or(Act::Returned, Act::TakeBack);
    }
    Step::ALL.into_iter().find(|s| !has(Mark::Done(*s))).map_or(Act::Moved, Act::Do)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_any_point_on_it_goes_on_or_back_over_exactly_what_was_begun() {
        for stop in 0..Step::ALL.len() {
            for done in [false, true] {
                let mut marks: Vec<Mark> = Step::ALL[..stop].iter().flat_map(|s| [Mark::Begun(*s), Mark::Done(*s)]).collect();
                marks.push(Mark::Begun(Step::ALL[stop]));
                if done {
                    marks.push(Mark::Done(Step::ALL[stop]));
                }
                let after = if done { stop + 1 } else { stop };
                assert_eq!(next(&marks), Step::ALL.get(after).map_or(Act::Moved, |s| Act::Do(*s)));
                marks.push(Mark::Back("asked".into()));
                let mut taken = Vec::new();
                while let Act::TakeBack(step) = next(&marks) {
                    taken.push(step);
                    marks.push(Mark::TakenBack(step));
                }
                let mut begun = Step::ALL[..=stop].to_vec();
                begun.reverse();
                assert_eq!((taken, next(&marks)), (begun, Act::Returned));
            }
        }
    }
}
