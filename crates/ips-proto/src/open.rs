//! The open transactions of a conversation: numbered as they begin, bounded, the oldest in front.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
};

/// Open transactions.
pub(crate) struct Open<T> {
    list: VecDeque<T>,
    begun: u64,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Self { list: VecDeque::new(), begun: 0 }
    }
}

impl<T> Open<T> {
    /// How many began, which is the next one's number.
    pub(crate) fn begun(&self) -> u64 {
        self.begun
    }

    /// A number for one that may be left out.
    pub(crate) fn number(&mut self) -> u64 {
        self.begun += 1;
        self.begun - 1
    }

    /// Forgets the oldest.
    pub(crate) fn forget(&mut self, count: usize) {
        self.list.drain(..count.min(self.list.len()));
    }

    /// Begins one, made with its number. Where `most` are open the oldest goes.
    pub(crate) fn begin(&mut self, most: usize, make: impl FnOnce(u64) -> T) -> &mut T {
        if self.list.len() >= most {
            self.list.pop_front();
        }
        let number = self.number();
        self.list.push_back(make(number));
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

impl<T> Deref for Open<T> {
    type Target = VecDeque<T>;
    fn deref(&self) -> &VecDeque<T> {
        &self.list
    }
}

impl<T> DerefMut for Open<T> {
    fn deref_mut(&mut self) -> &mut VecDeque<T> {
        &mut self.list
    }
}

/// What a [`crate::Parser`] says of its transactions, where they are in this field, an [`Open`].
macro_rules! many {
    ($field:ident) => {
        fn count(&self) -> usize {
            self.$field.len()
        }

        fn get(&self, at: usize) -> &dyn crate::Transaction {
            &self.$field[at]
        }

        fn forget(&mut self, count: usize) {
            self.$field.forget(count);
        }
    };
}

/// As [`many`], where the conversation is the one transaction, until this field says that it was forgotten.
macro_rules! one {
    ($present:ident) => {
        fn count(&self) -> usize {
            usize::from(self.$present)
        }

        fn get(&self, _at: usize) -> &dyn crate::Transaction {
            self
        }

        fn forget(&mut self, count: usize) {
            self.$present &= count == 0;
        }
    };
}

pub(crate) use {many, one};

#[cfg(test)]
mod tests {
    use super::Open;

    #[test]
    fn numbers_rise_and_the_oldest_goes() {
        let mut open = Open::default();
        for _ in 0..3 {
            open.begin(2, |n| n);
        }
        assert_eq!((open.number(), open.begun()), (3, 4));
        assert_eq!(*open.begin(2, |n| n), 4);
        assert_eq!(open.iter().copied().collect::<Vec<_>>(), [2, 4]);
    }
}
