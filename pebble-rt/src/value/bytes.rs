//! Bytes: a sequence of numbers from 0 to 255.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::heap::{Heap, OBJECT_OVERHEAD_BYTES, OutOfMemory};
use crate::value::Value;

/// A bytes object: never changed.
#[derive(Debug)]
pub struct BytesObj {
    bytes: Vec<u8>,
    heap: Heap,
}

impl BytesObj {
    /// Takes over `bytes`, charging what they hold.
    pub fn from_vec(heap: &Heap, bytes: Vec<u8>) -> Result<BytesObj, OutOfMemory> {
        heap.charge(OBJECT_OVERHEAD_BYTES + bytes.capacity())?;
        Ok(BytesObj {
            bytes,
            heap: heap.clone(),
        })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Drop for BytesObj {
    fn drop(&mut self) {
        self.heap
            .credit(OBJECT_OVERHEAD_BYTES + self.bytes.capacity());
    }
}

impl Heap {
    /// A bytes value.
    pub fn bytes(&self, bytes: Vec<u8>) -> Result<Value, OutOfMemory> {
        Ok(Value::Bytes(Rc::new(BytesObj::from_vec(self, bytes)?)))
    }
}
