//! What native modules keep for a program, by type.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::{Any, TypeId};

/// One value of each type that was asked for.
#[derive(Debug, Default)]
pub struct States(Vec<(TypeId, Box<dyn Any>)>);

impl States {
    /// The value of type `T`, made on first use.
    pub fn get<T: Any + Default>(&mut self) -> &mut T {
        let wanted = TypeId::of::<T>();
        let position = match self.0.iter().position(|(kind, _)| *kind == wanted) {
            Some(position) => position,
            None => {
                self.0.push((wanted, Box::new(T::default())));
                self.0.len() - 1
            }
        };
        self.0[position]
            .1
            .downcast_mut()
            .expect("stored under the id of its own type")
    }
}
