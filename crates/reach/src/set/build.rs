//! Many boxes at once: rows are sorted and the diagram is built from the top, instead of folding unions.

use super::{Set, Store};
use crate::field::Field;

/// First and last value in one column.
type Cell = (u128, u128);

impl Store {
    /// The union of rows; each row has one interval per field. Rows may overlap; the order does not matter.
    pub fn rows(&mut self, fields: &[Field], rows: &[Vec<Cell>]) -> Set {
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|i| fields[*i]);
        let mut columns: Vec<(Field, Vec<Cell>)> = Vec::with_capacity(fields.len());
        for i in order {
            columns.push((fields[i], rows.iter().map(|r| r.get(i).copied().unwrap_or((0, u128::MAX))).collect()));
        }
        let mut ids: Vec<u32> = (0..super::index(rows.len())).collect();
        if columns.windows(2).any(|w| w[0].0 == w[1].0) {
            // The same field twice (`ip saddr . ip saddr`): rare enough for the plain way.
            let sets: Vec<Set> = rows.iter().map(|r| self.row(fields, r)).collect();
            return self.any(sets);
        }
        self.build(&columns, &mut ids)
    }

    /// One box.
    pub fn row(&mut self, fields: &[Field], row: &[Cell]) -> Set {
        let cells: Vec<Set> = fields.iter().zip(row).map(|(f, c)| self.interval(*f, c.0, c.1)).collect();
        self.all(cells)
    }

    fn build(&mut self, columns: &[(Field, Vec<Cell>)], ids: &mut [u32]) -> Set {
        if ids.is_empty() {
            return Set::EMPTY;
        }
        let Some(((field, cells), rest)) = columns.split_first() else { return Set::FULL };
        let cell = |id: &u32| cells[*id as usize];
        ids.sort_unstable_by_key(cell);
        let mut groups: Vec<(Cell, std::ops::Range<usize>)> = Vec::new();
        for (i, id) in ids.iter().enumerate() {
            match groups.last_mut() {
                Some((c, r)) if *c == cell(id) => r.end = i + 1,
                _ => groups.push((cell(id), i..i + 1)),
            }
        }
        let disjoint = groups.windows(2).all(|w| w[0].0.1 < w[1].0.0);
        if !disjoint {
            let parts: Vec<Set> = groups
                .into_iter()
                .map(|((first, last), r)| {
                    let below = self.build(rest, &mut ids[r]);
                    let here = self.interval(*field, first, last);
                    self.and(here, below)
                })
                .collect();
            return self.any(parts);
        }
        let max = field.top();
        let mut edges = self.buffer();
        let mut next = Some(0);
        for ((first, last), r) in groups {
            let Some(from) = next else { break };
            if first > max || first > last {
                continue;
            }
            let child = self.build(rest, &mut ids[r]);
            if first > from {
                Self::push(&mut edges, first - 1, Set::EMPTY);
            }
            Self::push(&mut edges, last.min(max), child);
            next = (last < max).then(|| last + 1);
        }
        if next.is_some() {
            Self::push(&mut edges, max, Set::EMPTY);
        }
        self.node(field.level(), edges)
    }
}
