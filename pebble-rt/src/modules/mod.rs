//! The standard library: modules, system functions and methods that programs call.
//!
//! The files with nouns for names (`json`, `regex`, `path`, …) are plain algorithms over Rust types; those named after a
//! module or a group of builtins bind them to the engine's values.

mod arguments;
mod builtins;
mod bytes_methods;
pub mod calendar;
pub mod cells;
mod descriptors;
mod files;
pub mod format_spec;
mod format_value;
pub mod generator;
pub mod json;
mod json_module;
mod math;
mod memory;
pub mod path;
mod processes;
mod random;
pub mod regex;
mod regex_module;
mod runtime;
pub mod store;
mod string_methods;
mod struct_module;
mod system_module;
mod table;
mod tasks;
mod terminal;
mod text;
pub mod text_helpers;
mod time;
pub mod trigonometry;

pub use files::errno;
pub use format_value::format_argument;

use crate::native::Library;

/// Everything in this module that programs can call.
pub static LIBRARY: Library = Library {
    functions: &[
        math::FUNCTIONS,
        text::FUNCTIONS,
        text::HELPERS,
        random::FUNCTIONS,
        memory::flat::FUNCTIONS,
        memory::objects::FUNCTIONS,
        files::PLAIN,
        files::FUNCTIONS,
        descriptors::PLAIN,
        descriptors::STREAMS,
        terminal::FUNCTIONS,
        terminal::PLAIN,
        processes::PLAIN,
        system_module::clock::FUNCTIONS,
        system_module::net::FUNCTIONS,
        system_module::fs::FUNCTIONS,
        system_module::proc::FUNCTIONS,
        system_module::service::FUNCTIONS,
        json_module::FUNCTIONS,
        regex_module::FUNCTIONS,
        time::FUNCTIONS,
        struct_module::FUNCTIONS,
        builtins::FUNCTIONS,
        runtime::FUNCTIONS,
        tasks::FUNCTIONS,
    ],
    modules: &[
        &math::MODULE,
        &text::MODULE,
        &random::MODULE,
        &memory::flat::MODULE,
        &memory::objects::MODULE,
        &json_module::MODULE,
        &regex_module::MODULE,
        &time::MODULE,
        &struct_module::MODULE,
        &files::MODULE,
        &system_module::fs::MODULE,
        &system_module::proc::MODULE,
        &system_module::clock::MODULE,
        &system_module::net::MODULE,
        &system_module::service::MODULE,
        &terminal::MODULE,
    ],
    string_methods: string_methods::METHODS,
    bytes_methods: bytes_methods::METHODS,
};
