//! A group's tests, ready to run: contents with their search prepared, expressions, numbers; variables are indexes. Made from
//! [`ips_rules::condition::Test`] once; nothing is looked up by name.

use crate::{regex::Expression, text::Needle};
use ips_rules::{
    condition::{Arithmetic, Asn1, Compare, Field, From, SetAct, Test, Value},
    num::Number,
};

/// A number written out, or a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Num {
    Is(i64),
    Of(u16),
}

impl std::convert::From<&Value> for Num {
    fn from(v: &Value) -> Self {
        match v {
            Value::Number(n) => Self::Is(*n),
            Value::Variable { variable } => Self::Of(*variable),
        }
    }
}

/// A content.
#[derive(Debug)]
pub(crate) struct Content {
    pub needle: Needle,
    pub negated: bool,
    /// A relative condition follows: another place of it may do where this one does not.
    pub next_relative: bool,
    pub endswith: bool,
    /// Begins here at the earliest.
    pub floor: i64,
    /// Stands in a chain that began with a depth: reckoned from that, ends so many bytes behind the last match at the latest.
    pub deep: Option<i64>,
    pub offset: Option<Num>,
    pub depth: Option<Num>,
    pub distance: Option<Num>,
    pub within: Option<Num>,
}

impl Content {
    pub fn relative(&self) -> bool {
        self.distance.is_some() || self.within.is_some()
    }
    /// Its place depends on a variable in a way that the peer widens its end by the beginning.
    pub fn widens(&self) -> bool {
        [self.offset, self.depth, self.distance].iter().any(|n| matches!(n, Some(Num::Of(_))))
    }
}

/// A condition on a buffer's bytes.
#[derive(Debug)]
pub(crate) enum Op {
    Content(Box<Content>),
    Pcre { expression: Expression, negated: bool, relative: bool, next_relative: bool, captures: Vec<(bool, u16)> },
    ByteTest { field: Field, compare: Compare, negated: bool, value: Num },
    ByteJump { field: Field, multiplier: u64, align: bool, from: From, post_offset: Num },
    ByteExtract { field: Field, variable: u16, multiplier: u64, align: Option<u8> },
    ByteMath { field: Field, operation: Arithmetic, value: Num, variable: u16 },
    DataAt { bytes: Num, relative: bool, negated: bool },
    Size(Number),
    Dataset { set: u16, act: SetAct },
    Reputation { set: u16, compare: Number },
    Base64 { bytes: Option<usize>, offset: usize, relative: bool },
    Entropy(Number),
    Asn1(Asn1),
    FtpBounce,
}

/// Names that programs refer to, given while compiling.
pub(crate) trait Names {
    /// The number of a name kept with flow or packet.
    fn name(&mut self, name: &str) -> u16;
    /// The number of a set.
    fn set(&mut self, set: &ips_rules::condition::Dataset) -> u16;
}

/// Whether a test begins where the last match ended, and that match is tried again elsewhere where it fails. Not so where Base64 is
/// decoded, as with the peer.
fn relative(test: &Test) -> bool {
    match test {
        Test::Content(c) => c.distance.is_some() || c.within.is_some(),
        Test::Pcre(p) => p.relative,
        Test::ByteTest { field, .. } | Test::ByteJump { field, .. } | Test::ByteExtract { field, .. } | Test::ByteMath { field, .. } => {
            field.relative
        }
        Test::DataAt { relative, .. } => *relative,
        Test::Asn1(a) => a.relative_offset.is_some(),
        _ => false,
    }
}

/// Whether a content or expression at `at` is what a later relative test goes on from. Contents and expressions go on from the last
/// content or expression; the others only from what stands right before them, as with the peer.
fn followed(tests: &[Test], at: usize) -> bool {
    for (i, test) in tests.iter().enumerate().skip(at + 1) {
        let found = matches!(test, Test::Content(_) | Test::Pcre(_));
        if relative(test) && (found || i == at + 1) {
            return true;
        }
        if found {
            return false;
        }
    }
    false
}

/// Where contents can stand at the earliest, reckoned from those before them, and whether the chain they stand in began with a depth.
/// The peer reckons so while reading, and counts a content that must not be there as though it were there: a content with `distance`
/// behind one that is negated and has no place begins behind as many bytes as that one is long.
struct Chain {
    plus: i64,
    deep: bool,
}

impl Chain {
    fn next(&mut self, test: &Test) -> (i64, Option<i64>) {
        match test {
            Test::Content(c) => {
                let length = i64::try_from(c.bytes.len()).unwrap_or(i64::MAX);
                let fixed = |v: &Option<Value>| match v {
                    Some(Value::Variable { .. }) => None,
                    Some(Value::Number(n)) => Some(*n),
                    None => Some(0),
                };
                let placed = c.offset.is_some() || c.depth.is_some() || c.distance.is_some() || c.within.is_some() || c.startswith;
                let (offset, distance) = (fixed(&c.offset), fixed(&c.distance));
                let (true, Some(offset), Some(distance), Some(_), Some(_)) = (placed, offset, distance, fixed(&c.depth), fixed(&c.within))
                else {
                    *self = Self { plus: if placed { 0 } else { length }, deep: false };
                    return (0, None);
                };
                let (plus, deep) = (self.plus, self.deep);
                if c.negated {
                    *self = Self { plus: 0, deep: false };
                } else if c.distance.is_some() || c.within.is_some() {
                    self.plus = (plus + distance).max(0) + length;
                    self.deep &= c.within.is_some();
                } else {
                    *self = Self { plus: offset + length, deep: c.depth.is_some() || c.startswith };
                }
                let floor = (plus + distance).max(0);
                let within = c.within.as_ref().and_then(|w| if let Value::Number(n) = w { Some(*n) } else { None });
                (if c.distance.is_some() && !c.negated { floor } else { 0 }, within.filter(|_| deep && !c.negated).map(|w| floor + w))
            }
            Test::Pcre(p) if p.relative => {
                self.deep = false;
                (0, None)
            }
            Test::DataAt { .. } | Test::ByteTest { .. } => (0, None),
            _ => {
                *self = Self { plus: 0, deep: false };
                (0, None)
            }
        }
    }
}

/// `isdataat:!1,relative` right behind a content says that it stands at the end: the peer makes `endswith` of it.
fn ends(test: &Test) -> bool {
    matches!(test, Test::DataAt { bytes: Value::Number(1), relative: true, negated: true, .. })
}

/// Compiles a group's tests; `absent` is the caller's.
pub(crate) fn compile(tests: &[Test], names: &mut dyn Names) -> Vec<Op> {
    let num = |v: &Option<Value>| v.as_ref().map(Num::from);
    let mut out = Vec::with_capacity(tests.len());
    let mut chain = Chain { plus: 0, deep: false };
    for (at, test) in tests.iter().enumerate() {
        let (floor, deep) = chain.next(test);
        if ends(test) && at > 0 && matches!(tests[at - 1], Test::Content(_)) {
            continue;
        }
        out.push(match test {
            Test::Content(c) => {
                let length = i64::try_from(c.bytes.len()).unwrap_or(i64::MAX);
                let (offset, depth) = if c.startswith { (None, Some(Num::Is(length))) } else { (num(&c.offset), num(&c.depth)) };
                Op::Content(Box::new(Content {
                    needle: Needle::new(&c.bytes, c.nocase),
                    negated: c.negated,
                    next_relative: followed(tests, at),
                    endswith: c.endswith || tests.get(at + 1).is_some_and(ends),
                    floor,
                    deep,
                    offset,
                    depth,
                    distance: num(&c.distance),
                    within: num(&c.within),
                }))
            }
            Test::Pcre(p) => Op::Pcre {
                expression: Expression::new(&p.expression, &p.flags),
                negated: p.negated,
                relative: p.relative,
                next_relative: followed(tests, at),
                captures: p.captures.iter().map(|c| (c.flow, names.name(&c.name))).collect(),
            },
            Test::ByteTest { field, compare, negated, value } => {
                Op::ByteTest { field: field.clone(), compare: *compare, negated: *negated, value: value.into() }
            }
            Test::ByteJump { field, multiplier, align, from, post_offset } => Op::ByteJump {
                field: field.clone(),
                multiplier: u64::from(*multiplier),
                align: *align,
                from: *from,
                post_offset: post_offset.into(),
            },
            Test::ByteExtract { field, variable, multiplier, align } => {
                Op::ByteExtract { field: field.clone(), variable: *variable, multiplier: u64::from(*multiplier), align: *align }
            }
            Test::ByteMath { field, operation, value, variable } => {
                Op::ByteMath { field: field.clone(), operation: *operation, value: value.into(), variable: *variable }
            }
            Test::DataAt { bytes, relative, negated, .. } => Op::DataAt { bytes: bytes.into(), relative: *relative, negated: *negated },
            Test::Size(n) => Op::Size(*n),
            Test::Absent { .. } => continue,
            Test::Dataset { set, act } => Op::Dataset { set: names.set(set), act: *act },
            Test::Reputation { set, compare } => Op::Reputation { set: names.set(set), compare: *compare },
            Test::Base64 { bytes, offset, relative } => {
                Op::Base64 { bytes: bytes.map(|n| n as usize), offset: *offset as usize, relative: *relative }
            }
            Test::Entropy(n) => Op::Entropy(*n),
            Test::Asn1(a) => Op::Asn1(a.clone()),
            Test::FtpBounce => Op::FtpBounce,
        });
    }
    out
}

/// Largest variable of the tests, for the room that variables need.
pub(crate) fn variables(tests: &[Test]) -> usize {
    let one = |t: &Test| match t {
        Test::ByteExtract { variable, .. } | Test::ByteMath { variable, .. } => usize::from(*variable) + 1,
        _ => 0,
    };
    tests.iter().map(one).max().unwrap_or(0)
}
