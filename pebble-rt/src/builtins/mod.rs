//! The builtins that belong to the language itself: section 17, what asks about values and types, methods of lists,
//! dicts, sets and tuples, and the hidden functions that compiled code calls.

mod convert;
mod dicts;
mod hidden;
mod lists;
mod objects;
mod sets;

use crate::native::{Library, NativeFunction};
use crate::symbol::Symbol;
use crate::value::Value;
use crate::vm::Core;

/// The functions of this part.
pub static LIBRARY: Library = Library {
    functions: &[
        convert::FUNCTIONS,
        objects::FUNCTIONS,
        hidden::FUNCTIONS,
        crate::vm::THREAD_FUNCTIONS,
    ],
    modules: &[],
    string_methods: &[],
    bytes_methods: &[],
};

/// What `name` means in Pebble's own part of the builtins, for those who list names.
pub static PRELUDE_SOURCE: &str = include_str!("prelude.peb");

impl Core {
    /// The method of a value of a built-in type.
    pub(crate) fn builtin_method(
        &self,
        value: &Value,
        name: Symbol,
    ) -> Option<&'static NativeFunction> {
        let text = self.interner.text(name);
        let tables: [&'static [NativeFunction]; 2] = match value {
            Value::List(_) => [lists::METHODS, &[]],
            Value::Dict(_) => [dicts::METHODS, &[]],
            Value::Set(_) => [sets::METHODS, &[]],
            Value::Tuple(_) => [lists::TUPLE_METHODS, &[]],
            Value::Ref(_) => [objects::REF_METHODS, &[]],
            Value::Foreign(foreign) if foreign.type_name() == crate::vm::CHANNEL => {
                [crate::vm::CHANNEL_METHODS, &[]]
            }
            Value::Str(_) => return self.library_method(text, |library| library.string_methods),
            Value::Bytes(_) => return self.library_method(text, |library| library.bytes_methods),
            _ => return None,
        };
        tables
            .into_iter()
            .flatten()
            .find(|method| method.name == text)
    }

    fn library_method(
        &self,
        name: &str,
        table: fn(&'static Library) -> &'static [NativeFunction],
    ) -> Option<&'static NativeFunction> {
        self.libraries
            .iter()
            .flat_map(|library| table(library))
            .find(|method| method.name == name)
    }

    /// The names of the methods of a value of a built-in type, for completion.
    pub(crate) fn builtin_method_names(&self, value: &Value) -> alloc::vec::Vec<&'static str> {
        let table: &'static [NativeFunction] = match value {
            Value::List(_) => lists::METHODS,
            Value::Dict(_) => dicts::METHODS,
            Value::Set(_) => sets::METHODS,
            Value::Tuple(_) => lists::TUPLE_METHODS,
            Value::Str(_) => {
                return self
                    .libraries
                    .iter()
                    .flat_map(|library| library.string_methods)
                    .map(|m| m.name)
                    .collect();
            }
            Value::Bytes(_) => {
                return self
                    .libraries
                    .iter()
                    .flat_map(|library| library.bytes_methods)
                    .map(|m| m.name)
                    .collect();
            }
            _ => &[],
        };
        table.iter().map(|method| method.name).collect()
    }
}
