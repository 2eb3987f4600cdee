//! The network stack's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod card;
mod serving;

use core::convert::Infallible;

use libipc::{Boot, Instant, StartError, Wake};
use netd::stack::Stack;
use protocols::nic;
use protocols::socket::{self, tcp, tcp_listener, udp};

use card::Card;
use serving::Server;

/// Index of each protocol in the manifest's `provides`.
const SOCKET: u8 = 0;
const LISTENER: u8 = 1;
const TCP: u8 = 2;
const UDP: u8 = 3;

/// Cookie of the notification that the card's driver signals.
const CARD: u64 = 1;

#[libipc::entry]
fn main(mut boot: Boot) -> Result<Infallible, StartError> {
    let mut endpoint = boot.endpoint("service")?;
    let client = nic::Client::adopt(boot.service("nic")?);
    let mut card = Card::new(client, endpoint.calls())?;
    endpoint.bind(card.doorbell(), CARD)?;
    card.attach();
    // Numbers of sockets are never used again, not even by the next incarnation.
    let first_id = boot.incarnation() << 32;
    let mut server: Option<Server> = None;
    let minter = endpoint.minter()?;
    let mut minter = Some(minter);

    loop {
        let deadline = match &mut server {
            Some(server) => server.next_poll(),
            None => card.next_try(),
        };
        match endpoint.receive(deadline.map(Instant::from_ns)) {
            Wake::Call(call) => match (&mut server, call.badge().protocol()) {
                // Without an address of the card there is no network yet; the caller asks again.
                (None, SOCKET) => socket::dispatch(&mut serving::NoNetwork, call),
                (None, _) => call.refuse(libipc::Refusal::WrongProtocol),
                (Some(server), SOCKET) => socket::dispatch(server, call),
                (Some(server), LISTENER) => tcp_listener::dispatch(server, call),
                (Some(server), TCP) => tcp::dispatch(server, call),
                (Some(server), UDP) => udp::dispatch(server, call),
                (Some(_), _) => call.refuse(libipc::Refusal::WrongProtocol),
            },
            Wake::Completed(completed) => card.completed(completed),
            Wake::Notified(notified) => card.notified(notified.bits),
            Wake::Closed(badge) => {
                if let Some(server) = &mut server {
                    server.closed(badge);
                }
            }
            Wake::Cancelled(cancelled) => {
                if let Some(server) = &mut server {
                    server.cancelled(&cancelled);
                }
            }
            Wake::Failed(error) => return Err(error.into()),
            Wake::Rung(_) | Wake::Deadline(_) => {}
        }
        card.tend();
        if server.is_none()
            && let Some(mac) = card.mac()
            && let Some(minter) = minter.take()
        {
            let stack = Stack::new(
                &mut card,
                mac,
                libipc::random::next_u64(),
                first_id,
                Instant::now().as_ns(),
            );
            server = Some(Server::new(stack, minter));
        }
        if let Some(server) = &mut server {
            server.advance(&mut card);
        }
        card.settle();
    }
}
