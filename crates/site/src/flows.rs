//! The flows of a site as a list that knows whether one of its flows is the same as one of another list, without comparing them: each
//! has a digest of what it asks of filters. The list never changes in place, so that the digests hold.

use crate::model::{Flow, Leg};
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::{collections::HashMap, ops::Deref};
use words::Digest;

/// Everything that may flow, sorted by id. A slice of flows to whoever reads it.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    list: Vec<Flow>,
    asked: Vec<Digest>,
}

impl Flows {
    /// The list of these, in their order.
    pub fn new(list: Vec<Flow>) -> Self {
        // The same prefixes stand in many legs.
        let mut known = HashMap::new();
        let asked = list.iter().map(|f| asked(f, &mut known)).collect();
        Self { list, asked }
    }

    /// What each flow asks of every filter, its id included: where two digests are equal, no packet can tell the flows apart. Why a flow
    /// is there and what it is called is nothing to a packet.
    pub fn asked(&self) -> &[Digest] {
        &self.asked
    }

    /// Another list, made of this one.
    pub fn change(&mut self, by: impl FnOnce(&mut Vec<Flow>)) {
        by(&mut self.list);
        *self = Self::new(std::mem::take(&mut self.list));
    }
}

fn asked(flow: &Flow, known: &mut HashMap<*const IpNet, Digest>) -> Digest {
    let Flow { id, kind, from, to, target, publish, legs, service: _, app: _, names: _, why: _, origins: _ } = flow;
    let mut nets = |nets: &[IpNet]| *known.entry(nets.as_ptr()).or_insert_with(|| Digest::of_value(&nets));
    let legs: Vec<_> =
        legs.iter().map(|Leg { family, from_zone, to_zone, src, dst }| (family, from_zone, to_zone, nets(src), nets(dst))).collect();
    Digest::of_value(&(id, kind, from, to, target, publish, legs))
}

impl Deref for Flows {
    type Target = [Flow];
    fn deref(&self) -> &[Flow] {
        &self.list
    }
}

impl<'f> IntoIterator for &'f Flows {
    type Item = &'f Flow;
    type IntoIter = std::slice::Iter<'f, Flow>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl Serialize for Flows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(to)
    }
}

#[cfg(test)]
mod tests {
    use crate::{generate, read};
    use words::{Origin, SourceFile};

    #[test]
    fn a_digest_tells_what_a_filter_would_and_nothing_else() {
        let mut model = read(&SourceFile::new("site.toml", generate(10, 1)), "2026-01-01").model.expect("reads");
        let before = model.flows.asked().to_vec();
        model.flows.change(|flows| flows[0].why = "for another reason".to_owned());
        model.flows.change(|flows| flows[0].origins = vec![Origin::Builtin { code: String::new(), why: String::new() }]);
        assert_eq!(model.flows.asked(), before);
        model.flows.change(|flows| flows[0].legs[0].src = flows[0].legs[0].dst.clone());
        assert_ne!(model.flows.asked()[0], before[0]);
        assert_eq!(model.flows.asked()[1..], before[1..]);
        let with_a_leg = model.flows.asked()[0];
        model.flows.change(|flows| flows[0].legs.truncate(0));
        assert_ne!(model.flows.asked()[0], with_a_leg);
    }
}
