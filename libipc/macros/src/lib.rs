//! One text for an interface: from a trait under `#[protocol]` come the client, the server's dispatcher and the schema; `#[message]` makes a type
//! fit to travel; `#[entry]` marks a program's `main`.
//!
//! The generated code is thin: everything that can be a function of `libipc` is one.
#![forbid(unsafe_code)]

mod client;
mod entry;
mod message;
mod model;
mod protocol;
mod server;
mod wire;

use proc_macro::TokenStream;
use syn::{Error, ItemFn, ItemTrait, parse_macro_input};

/// Makes a type fit to travel in messages: `Clone`, `Debug`, `PartialEq`, the serde traits and the schema. A type with handles in it is not `Clone`.
///
/// Byte vectors in fields are encoded in one piece.
#[proc_macro_attribute]
pub fn message(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::DeriveInput);
    message::expand(item).into()
}

/// Makes a protocol of a trait.
///
/// `#[protocol(name = "block", version = 1)]` on `pub trait Block` leaves the trait as what a server implements (each method gets a
/// `caller: Caller` first; a `#[deferred]` one a `Reply` last, and no result), and makes a module `block` with `Client`, `dispatch`, `PROTOCOL`,
/// `NAME`, `VERSION`, `HASH` and `METHODS`. In the file `block.rs` all of that can also be reached without naming the module again.
///
/// Methods are `#[idempotent]`, `#[journaled]` or neither, and return a `Result`.
#[proc_macro_attribute]
pub fn protocol(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as model::Arguments);
    let item = parse_macro_input!(item as ItemTrait);
    let file = proc_macro::Span::call_site().file();
    model::Model::new(arguments, item)
        .map(|model| protocol::expand(&model, &file))
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Marks the function that a program starts with: `fn main(boot: Boot) -> Result<Infallible, StartError>` (or `Result<(), E>`, or nothing).
///
/// An error is logged and ends the process with status 1; a return without one ends it with status 0.
#[proc_macro_attribute]
pub fn entry(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    entry::expand(&item).into()
}
