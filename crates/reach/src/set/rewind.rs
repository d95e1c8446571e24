//! A store taken back to where it was: sets made since are forgotten. In comes a mark, out comes the store as it stood there.
//!
//! A proof of a thousand hosts asks of each host what it asks of the others; what it learnt of one is of no use to the next and
//! only makes the tables too large for the processor's caches. Never: a handle from before the mark that means something else
//! afterwards. Handles from after it mean nothing any more: whoever kept one forgets it too ([`Mark::holds`]).

use super::{Set, Store, hash, index};

/// A point in a store's life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    nodes: u32,
}

impl Mark {
    /// Whether a set is from before the mark.
    pub(crate) fn holds(self, set: Set) -> bool {
        set.0 < self.nodes
    }
}

impl Store {
    /// The present point.
    pub(crate) fn mark(&self) -> Mark {
        Mark { nodes: index(self.nodes.len()) }
    }

    /// Forgets every set made since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        // Newest first: each one's hash leads to itself, and then to the one before it.
        for at in (mark.nodes..index(self.nodes.len())).rev() {
            let node = self.nodes[at as usize];
            let hash = hash(node.level, self.range(Set(at)).map(|i| (self.lasts[i], self.children[i])));
            if node.next == 0 {
                self.unique.remove(&hash);
            } else {
                self.unique.insert(hash, node.next);
            }
        }
        if let Some(first) = self.nodes.get(mark.nodes as usize) {
            let edges = first.start as usize;
            self.lasts.truncate(edges);
            self.children.truncate(edges);
            self.nodes.truncate(mark.nodes as usize);
        }
        let old = |key: u64| key >> 32 < u64::from(mark.nodes);
        for memo in &mut self.memo {
            memo.retain(|key, made| old(*key) && mark.holds(Set(*key as u32)) && mark.holds(*made));
        }
        self.forgotten.retain(|key, made| old(*key) && mark.holds(*made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Field;

    fn sets(store: &mut Store, from: u128) -> Vec<Set> {
        let mut out = Vec::new();
        for n in from..from + 40 {
            let port = store.interval(Field::Dport, n * 7, n * 11 + 3);
            let source = store.interval(Field::Sport, n, n * 3);
            let both = store.and(port, source);
            let others = store.not(both);
            out.extend([both, others, store.forget(both, Field::Sport)]);
            let last = out[out.len() / 2];
            out.push(store.or(last, both));
        }
        out
    }

    #[test]
    fn what_was_before_stands_and_what_comes_after_is_as_in_a_store_that_never_went_on() {
        let (mut plain, mut store) = (Store::new(), Store::new());
        let before = sets(&mut plain, 1);
        assert_eq!(sets(&mut store, 1), before);
        for other in [200, 300, 20] {
            let mark = store.mark();
            assert!(sets(&mut store, other).iter().any(|s| !mark.holds(*s)), "nothing new was made");
            store.rewind(mark);
            assert_eq!((store.nodes(), store.edges(), store.unique.len()), (plain.nodes(), plain.edges(), plain.unique.len()));
        }
        // The same handles in both, made and found again: no table leads to what was forgotten.
        assert_eq!(sets(&mut store, 30), sets(&mut plain, 30));
        assert_eq!(sets(&mut store, 1), before);
        assert_eq!((store.nodes(), store.edges()), (plain.nodes(), plain.edges()));
    }
}
