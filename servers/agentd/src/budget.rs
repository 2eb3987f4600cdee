//! Memory that requests may take together: what one of them takes, another can't have, so that no number of clients makes the daemon run out.

use alloc::rc::Rc;
use core::cell::Cell;

/// Bytes that can be reserved. Clones are the same bytes.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Rc<Cell<usize>>,
}

/// Bytes that were reserved. They are given back when this goes.
#[derive(Debug)]
pub struct Reserved {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// So many bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            left: Rc::new(Cell::new(bytes)),
        }
    }

    /// Bytes that nobody has reserved.
    pub fn left(&self) -> usize {
        self.left.get()
    }

    /// Reserves bytes; `None` if there are not so many.
    pub fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let mut reserved = Reserved {
            budget: self.clone(),
            bytes: 0,
        };
        reserved.grow(bytes).then_some(reserved)
    }
}

impl Reserved {
    /// Bytes in here.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Reserves more; `false`, and nothing changes, if there is not so much.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Some(left) = self.budget.left.get().checked_sub(bytes) else {
            return false;
        };
        self.budget.left.set(left);
        self.bytes += bytes;
        true
    }

    /// Gives back all but so many.
    pub fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.budget.left.set(self.budget.left.get() + surplus);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_another_has_not_until_it_is_given_back() {
        let budget = Budget::new(10);
        let mut first = budget.reserve(6).expect("there is so much");
        assert!(budget.reserve(5).is_none());
        assert!(!first.grow(5) && first.grow(4));
        assert_eq!(budget.left(), 0);
        first.shrink_to(1);
        assert_eq!((first.bytes(), budget.left()), (1, 9));
        drop(first);
        assert_eq!(budget.left(), 10);
    }
}
