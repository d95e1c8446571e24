//! Sets and maps as packet sets: thousands of elements become one diagram at once, remembered per set and keys.

use super::{Eval, Past, cell, direct, element_verdict, elements, matching::Matched};
use crate::{field::Field, set::Set};
use ruleset::form::{Element, Key, MapRef, Op, Table, Verdict};
use std::collections::BTreeMap;

impl<'a> Eval<'a> {
    /// The packets whose concatenated keys are in a named set.
    pub(super) fn lookup(&mut self, t: usize, table: &'a Table, keys: &[Key], set: &str) -> Matched {
        let id = (t, set.to_owned(), keys.to_vec());
        if let Some(known) = self.columns.0.get(&id) {
            return *known;
        }
        let m = match table.sets.get(set) {
            None => Matched::UNDECIDED,
            Some(s) => {
                let inside = self.rows(keys, s.elements.iter());
                match (s.dynamic, self.past) {
                    (false, _) => inside,
                    // What the packet path put there is unknown; what stands there now may have gone.
                    (true, Past::Any) => Matched::UNDECIDED,
                    (true, Past::Quiet) => inside,
                }
            }
        };
        self.columns.0.insert(id, m);
        m
    }

    /// The packets that match any of the elements.
    pub(super) fn rows<'e>(&mut self, keys: &[Key], elements: impl Iterator<Item = &'e Element>) -> Matched {
        let Some(columns) = keys.iter().map(direct).collect::<Option<Vec<_>>>() else {
            return self.one_by_one(keys, elements);
        };
        let fields: Vec<Field> = columns.iter().map(|c| c.0).collect();
        let mut cells: Vec<(Field, Vec<(u128, u128)>)> = fields.iter().map(|f| (*f, Vec::with_capacity(elements.size_hint().0))).collect();
        let mut count = 0;
        for e in elements {
            count += 1;
            for (i, (k, (_, column))) in keys.iter().zip(&mut cells).enumerate() {
                column.push(e.key.get(i).map_or((0, u128::MAX), |v| cell(k, v)));
            }
        }
        let mut set = self.store.columns(cells, count);
        for (_, family, proto) in &columns {
            let implied = self.implied(*family, *proto);
            set = self.store.and(set, implied);
        }
        if fields.iter().any(|f| matches!(f, Field::Sport | Field::Dport)) { self.ports(set) } else { Matched::exactly(set) }
    }

    fn one_by_one<'e>(&mut self, keys: &[Key], elements: impl Iterator<Item = &'e Element>) -> Matched {
        let (mut may, mut must) = (Vec::new(), Vec::new());
        for e in elements {
            let m = self.element(keys, e);
            may.push(m.may);
            must.push(m.must);
        }
        Matched { may: self.store.any(may), must: self.store.any(must) }
    }

    /// The packets that may match one element.
    pub(crate) fn element_set(&mut self, keys: &[Key], e: &Element) -> Set {
        self.element(keys, e).may
    }

    /// The packets that match one element.
    pub(super) fn element(&mut self, keys: &[Key], e: &Element) -> Matched {
        let mut all = Matched::exactly(Set::FULL);
        for (k, v) in keys.iter().zip(&e.key) {
            let m = self.matching(k, None, Op::In, std::slice::from_ref(v), Set::FULL);
            all = Matched { may: self.store.and(all.may, m.may), must: self.store.and(all.must, m.must) };
        }
        all
    }

    /// The packets for each verdict of a map.
    pub(super) fn verdicts(&mut self, table: &'a Table, keys: &[Key], map: &'a MapRef) -> Vec<(Verdict, Matched)> {
        let Some((all, dynamic)) = elements(table, map) else { return vec![(Verdict::Continue, Matched::UNDECIDED)] };
        let mut groups: BTreeMap<&Verdict, Vec<&Element>> = BTreeMap::new();
        for e in all {
            if let Some(v) = element_verdict(e) {
                groups.entry(v).or_default().push(e);
            }
        }
        groups
            .into_iter()
            .map(|(v, es)| {
                let m = self.rows(keys, es.into_iter());
                let m = if dynamic && self.past == Past::Any { Matched { may: m.may, must: Set::EMPTY } } else { m };
                (v.clone(), m)
            })
            .collect()
    }
}
