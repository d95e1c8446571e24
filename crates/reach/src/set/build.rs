//! Many boxes at once: rows are sorted and the diagram is built from the top, instead of folding unions.

use super::{Set, Store};
use crate::field::Field;

/// First and last value in one column.
pub(crate) type Cell = (u128, u128);

/// One field's cells, one for each row.
type Column = (Field, Vec<Cell>);

impl Store {
    /// The union of rows; each row has one interval per field. Rows may overlap; the order does not matter.
    pub fn rows<R: AsRef<[Cell]>>(&mut self, fields: &[Field], rows: &[R]) -> Set {
        let column = |i: usize| rows.iter().map(|r| r.as_ref().get(i).copied().unwrap_or((0, u128::MAX))).collect();
        let columns = fields.iter().enumerate().map(|(i, f)| (*f, column(i))).collect();
        self.columns(columns, rows.len())
    }

    /// The union of so many rows, given by their columns.
    pub(crate) fn columns(&mut self, mut columns: Vec<Column>, rows: usize) -> Set {
        columns.sort_by_key(|c| c.0);
        if columns.windows(2).any(|w| w[0].0 == w[1].0) {
            // The same field twice (`ip saddr . ip saddr`): rare enough for the plain way.
            let sets: Vec<Set> = (0..rows)
                .map(|i| {
                    let cells: Vec<Set> = columns.iter().map(|(f, c)| self.interval(*f, c[i].0, c[i].1)).collect();
                    self.all(cells)
                })
                .collect();
            return self.any(sets);
        }
        let mut ids: Vec<u32> = (0..super::index(rows)).collect();
        self.build(&columns, &mut ids)
    }

    /// One box.
    pub fn row(&mut self, fields: &[Field], row: &[Cell]) -> Set {
        let columns = fields.iter().zip(row).map(|(f, c)| (*f, vec![*c])).collect();
        self.columns(columns, 1)
    }

    /// One value's interval above a set of lower fields.
    pub(super) fn span(&mut self, field: Field, (first, last): Cell, below: Set) -> Set {
        let max = field.top();
        if first > last || first > max || below.is_empty() {
            return Set::EMPTY;
        }
        let mut edges = self.buffer();
        if first > 0 {
            edges.push((first - 1, Set::EMPTY));
        }
        Self::push(&mut edges, last.min(max), below);
        if last < max {
            Self::push(&mut edges, max, Set::EMPTY);
        }
        self.node(field.level(), edges)
    }

    fn build(&mut self, columns: &[Column], ids: &mut [u32]) -> Set {
        match ids {
            [] => return Set::EMPTY,
            [one] => {
                let i = *one as usize;
                return columns.iter().rev().fold(Set::FULL, |below, (field, cells)| self.span(*field, cells[i], below));
            }
            _ => {}
        }
        let Some(((field, cells), rest)) = columns.split_first() else { return Set::FULL };
        let cell = |id: u32| cells[id as usize];
        ids.sort_unstable_by_key(|id| cell(*id));
        // Neighbours that are neither equal nor apart overlap.
        let disjoint = ids.windows(2).all(|w| cell(w[0]) == cell(w[1]) || cell(w[0]).1 < cell(w[1]).0);
        if !disjoint {
            let mut parts = Vec::new();
            for group in ids.chunk_by_mut(|a, b| cell(*a) == cell(*b)) {
                let here = cell(group[0]);
                let below = self.build(rest, group);
                parts.push(self.span(*field, here, below));
            }
            return self.any(parts);
        }
        let max = field.top();
        let mut edges = self.buffer();
        let mut next = Some(0);
        for group in ids.chunk_by_mut(|a, b| cell(*a) == cell(*b)) {
            let Some(from) = next else { break };
            let (first, last) = cell(group[0]);
            if first > max || first > last {
                continue;
            }
            let child = self.build(rest, group);
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
