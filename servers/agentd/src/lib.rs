//! agentd: JSON-RPC 2.0 for programs on the host. See docs/servers/agentd.md.
//!
//! Bytes become texts ([`frame`], [`http`]), texts become values ([`json`]) and requests ([`rpc`]). [`server`] keeps the connections; [`methods`] has what can be called: each
//! method says there what it takes and gives ([`shape`]), takes its parameters through [`params`], and reaches the system through [`system`]. What a token may do is in [`token`],
//! how fast it may be guessed in [`attempts`]; [`state`] is what outlives the daemon, the results of requests that may be repeated among it ([`replay`]);
//! [`catalogue`] knows what the servers say of their interfaces, [`dynamic`] translates between JSON and postcard by that, and [`handles`] has names for the handles that come with
//! answers, so that any method of any server can be called.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
// Its own modules are named as everybody names them.
extern crate self as agentd;

pub mod attempts;
pub mod audit;
pub mod budget;
pub mod catalogue;
pub mod dynamic;
pub mod faults;
pub mod frame;
pub mod glob;
pub mod handles;
pub mod http;
pub mod jobs;
pub mod json;
pub mod link;
pub mod listener;
pub mod locks;
pub mod methods;
pub mod outbox;
pub mod output;
pub mod params;
pub mod replay;
pub mod replies;
pub mod rpc;
pub mod server;
pub mod shape;
pub mod state;
pub mod system;
pub mod timers;
pub mod token;
