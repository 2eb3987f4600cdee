//! agentd: JSON-RPC 2.0 for programs on the host. See docs/servers/agentd.md.
//!
//! Bytes become texts ([`frame`], [`http`]), texts become values ([`json`]) and requests ([`rpc`]); each method takes its parameters through [`params`]. What a token may
//! do is in [`token`]; [`dynamic`] translates between JSON and postcard by a schema, so that any interface of any server can be called.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod dynamic;
pub mod frame;
pub mod http;
pub mod json;
pub mod params;
pub mod rpc;
pub mod token;
