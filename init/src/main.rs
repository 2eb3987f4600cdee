//! init's process: what the supervisor decides, done. See docs/servers/init.md.
//!
//! Nothing in here waits for anybody: what takes time is a Call, and its end is an event like any other.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod calls;
mod console;
mod devices;
mod faults;
mod image;
mod launch;
mod serve;
mod service;
mod state;

use alloc::format;
use core::convert::Infallible;

use libipc::{Boot, Endpoint, StartError, Wake};
use protocols::services;

use state::Init;

#[libipc::entry]
fn main(_boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = Endpoint::create()?;
    let mut init = match Init::new(&endpoint) {
        Ok(init) => init,
        Err(reason) => {
            console::last(&reason);
            return Err(StartError::Other(reason));
        }
    };
    init.boot();

    loop {
        match endpoint.receive(init.next_deadline()) {
            Wake::Call(call) if call.badge().is_own() => init.on_fault(call),
            Wake::Call(call) => services::dispatch(&mut init, call),
            Wake::Completed(completed) => init.on_completed(completed),
            Wake::Closed(badge) if badge.is_own() => init.on_gone(badge),
            Wake::Cancelled(cancelled) => init.on_cancelled(&cancelled),
            Wake::Deadline(_) => init.on_deadline(),
            Wake::Failed(error) => {
                let reason = format!("init can't receive: {error}");
                console::last(&reason);
                return Err(StartError::Other(reason));
            }
            Wake::Closed(_) | Wake::Rung(_) | Wake::Notified(_) => {}
        }
        init.act();
    }
}
