//! The daemon's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::convert::Infallible;

use libipc::executor::Executor;
use libipc::{Boot, Instant, Refusal, StartError, Wake};
use protocols::socket;

use agentd::listener::Listener;
use agentd::server::Server;
use agentd::system::System;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let socket = socket::Client::adopt(boot.service("socket")?);
    let executor = Executor::new();
    let system = System::new(&mut boot, endpoint.calls(), executor.waiting())?;
    let mut server = Server::new(system.clone(), executor);
    let mut listener = Listener::new(socket, system);
    loop {
        listener.tend();
        let next = listener.next_try().into_iter().chain(server.next_moment());
        match endpoint.receive(next.min().map(Instant::from_ns)) {
            Wake::Call(call) => call.refuse(Refusal::WrongProtocol),
            Wake::Completed(completed) if listener.awaits(&completed) => {
                if let Some((connection, from)) = listener.completed(completed) {
                    server.accept(connection, from);
                }
            }
            Wake::Completed(completed) => server.completed(completed),
            Wake::Deadline(now) => server.moment(now.as_ns()),
            Wake::Failed(error) => return Err(error.into()),
            Wake::Closed(_) | Wake::Rung(_) | Wake::Notified(_) | Wake::Cancelled(_) => {}
        }
    }
}
