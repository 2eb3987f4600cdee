//! The daemon's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use libipc::{Boot, Instant, Refusal, StartError, Wake};
use protocols::socket;

use agentd::listener::Listener;
use agentd::server::Server;
use agentd::system::System;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let socket = socket::Client::adopt(boot.service("socket")?);
    let mut listener = Listener::new(socket, endpoint.calls());
    let mut server = Server::new(System::new(&mut boot, endpoint.calls())?);
    loop {
        listener.tend();
        match endpoint.receive(listener.next_try().map(Instant::from_ns)) {
            Wake::Call(call) => call.refuse(Refusal::WrongProtocol),
            Wake::Completed(completed) if listener.awaits(&completed) => {
                if let Some(connection) = listener.completed(completed) {
                    server.accept(connection);
                }
            }
            Wake::Completed(completed) => server.completed(completed),
            Wake::Failed(error) => return Err(error.into()),
            Wake::Closed(_)
            | Wake::Rung(_)
            | Wake::Notified(_)
            | Wake::Cancelled(_)
            | Wake::Deadline(_) => {}
        }
    }
}
