//! Views: what a Connection shows as its root, in memory that outlives the server.

use alloc::string::String;
use alloc::vec::Vec;

use libipc::capsule::{Part, Slots};
use protocols::directory::{Access, MAX_PATH_BYTES};
use serde::{Deserialize, Serialize};

/// Views there are, at most.
pub const VIEWS: usize = 256;
const RECORD_BYTES: usize = MAX_PATH_BYTES + 64;

/// A view.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct View {
    /// Names that lead from the root of the tree to the root of the view.
    pub root: Vec<String>,
    /// What may be done.
    pub access: Access,
}

/// All of them.
pub struct Views {
    slots: Slots<Part>,
    views: Vec<Option<View>>,
}

impl Views {
    /// Bytes of the capsule that they take.
    pub const fn storage_bytes() -> usize {
        Slots::<Part>::storage_bytes(VIEWS, RECORD_BYTES)
    }

    /// Opens what the last incarnation left. `None` if the memory is too small.
    pub fn open(part: Part) -> Option<Self> {
        let (slots, found) = Slots::open(part, 1, VIEWS, RECORD_BYTES)?;
        if !found.bad.is_empty() {
            libipc::warn!("dropped damaged records of views {:?}", found.bad);
        }
        let views = (0..VIEWS)
            .map(|index| slots.load(index).ok().flatten())
            .collect();
        Some(Self { slots, views })
    }

    /// Takes a free place; `None` if there is none, or the root is too deep to be kept.
    pub fn add(&mut self, view: View) -> Option<usize> {
        let index = self.views.iter().position(Option::is_none)?;
        self.slots.store(index, &view).ok()?;
        self.views[index] = Some(view);
        Some(index)
    }

    /// Gives a place back.
    pub fn remove(&mut self, index: usize) {
        if let Some(view) = self.views.get_mut(index) {
            *view = None;
            if let Err(error) = self.slots.clear(index) {
                libipc::error!("the record of a view can't be cleared: {error}");
            }
        }
    }

    /// The view at a place.
    pub fn get(&self, index: usize) -> Option<&View> {
        self.views.get(index)?.as_ref()
    }
}
