//! A protocol that has one of each kind of method, and a server for it.
#![allow(dead_code, reason = "not every test program needs all of it")]

use libipc::prelude::*;
use libipc::{Badge, Cancelled, Endpoint, Journal, RequestNumber, Wake};
use libipc_testing::{Machine, Running, TestProcess};
use std::sync::{Arc, Mutex};

#[message]
#[derive(Copy, Eq, Default)]
pub struct Point {
    /// Across.
    pub x: i32,
    /// Up.
    pub y: i32,
}

#[message]
pub enum Shape {
    /// Nothing.
    Empty,
    /// Some points.
    Lines(Vec<Point>),
    /// A picture.
    Picture {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its name.
        name: Option<String>,
    },
}

#[message]
pub enum Error {
    /// It is too much.
    TooMuch {
        /// What would not be.
        limit: u32,
    },
}

#[message]
pub struct Ends {
    /// Memory to share.
    pub memory: Handle<MemoryObject>,
    /// A doorbell, perhaps.
    pub doorbell: Option<Handle<Notification>>,
}

/// A protocol for tests.
#[protocol(name = "sample", version = 3)]
pub trait Sample {
    /// Adds.
    #[idempotent]
    fn add(&mut self, a: u64, b: u64) -> Result<u64, Error>;

    /// Turns a shape around.
    #[idempotent]
    fn mirror(&mut self, shape: Shape) -> Result<Shape, Error>;

    /// Reads so many bytes.
    #[idempotent]
    fn read(&mut self, length: u32) -> Result<(Vec<u8>, Point), Error>;

    /// Counts bytes of a borrowed name and borrowed data.
    fn measure(&mut self, name: &str, data: &[u8]) -> Result<(u32, u32), Error>;

    /// Adds to a sum that outlives the server.
    #[journaled]
    fn deposit(&mut self, amount: u64) -> Result<u64, Error>;

    /// Answers when somebody calls `release`.
    #[idempotent]
    #[deferred]
    fn wait(&mut self, after: u64) -> Result<String, Error>;

    /// Answers those who wait.
    fn release(&mut self, word: String) -> Result<u32, Error>;

    /// Trades handles.
    #[idempotent]
    fn trade(&mut self, memory: Handle<MemoryObject>, name: String) -> Result<Ends, Error>;

    /// Dies without an answer.
    #[idempotent]
    fn die(&mut self, times: u32) -> Result<u64, Error>;

    /// Dies without an answer, and can't be repeated.
    fn die_once(&mut self) -> Result<u64, Error>;
}

/// What outlives a server.
#[derive(Default)]
pub struct Kept {
    pub sum: u64,
    pub deaths: u32,
    pub answers: Vec<(Badge, RequestNumber, Vec<u8>)>,
    pub closed: Vec<Badge>,
    pub rung: u32,
    pub cancelled: u32,
}

pub struct Server {
    pub kept: Arc<Mutex<Kept>>,
    waiting: Vec<libipc::Reply<String, Error>>,
    recalled: Vec<u8>,
}

impl Server {
    pub fn new(kept: Arc<Mutex<Kept>>) -> Self {
        Self {
            kept,
            waiting: Vec::new(),
            recalled: Vec::new(),
        }
    }

    fn forget(&mut self, cancelled: Cancelled) {
        self.waiting
            .retain(|reply| !reply.is_cancelled_by(&cancelled));
        self.kept.lock().unwrap().cancelled += 1;
    }
}

impl Journal for Server {
    fn recall(&mut self, client: Badge, request: RequestNumber) -> Option<&[u8]> {
        let kept = self.kept.lock().unwrap();
        let (.., answer) = kept
            .answers
            .iter()
            .find(|(badge, number, _)| (*badge, *number) == (client, request))?;
        self.recalled = answer.clone();
        Some(&self.recalled)
    }

    fn remember(&mut self, client: Badge, request: RequestNumber, answer: &[u8]) {
        self.kept
            .lock()
            .unwrap()
            .answers
            .push((client, request, answer.to_vec()));
    }
}

impl Sample for Server {
    fn add(&mut self, _: Caller, a: u64, b: u64) -> Result<u64, Error> {
        a.checked_add(b).ok_or(Error::TooMuch { limit: u32::MAX })
    }

    fn mirror(&mut self, _: Caller, shape: Shape) -> Result<Shape, Error> {
        Ok(match shape {
            Shape::Lines(points) => Shape::Lines(
                points
                    .into_iter()
                    .map(|Point { x, y }| Point { x: -x, y })
                    .collect(),
            ),
            same => same,
        })
    }

    fn read(&mut self, _: Caller, length: u32) -> Result<(Vec<u8>, Point), Error> {
        if length > 5000 {
            return Err(Error::TooMuch { limit: 5000 });
        }
        Ok((
            (0..length).map(|byte| byte as u8).collect(),
            Point { x: 1, y: 2 },
        ))
    }

    fn measure(&mut self, _: Caller, name: &str, data: &[u8]) -> Result<(u32, u32), Error> {
        Ok((name.len() as u32, data.len() as u32))
    }

    fn deposit(&mut self, caller: Caller, amount: u64) -> Result<u64, Error> {
        assert!(caller.request.is_some());
        let mut kept = self.kept.lock().unwrap();
        kept.sum += amount;
        Ok(kept.sum)
    }

    fn wait(&mut self, _: Caller, _after: u64, reply: Reply<String, Error>) {
        self.waiting.push(reply);
    }

    fn release(&mut self, _: Caller, word: String) -> Result<u32, Error> {
        let count = self.waiting.len() as u32;
        self.waiting
            .drain(..)
            .for_each(|reply| reply.ok(word.clone()));
        Ok(count)
    }

    fn trade(
        &mut self,
        _: Caller,
        memory: Handle<MemoryObject>,
        name: String,
    ) -> Result<Ends, Error> {
        let is_first = {
            let mut kept = self.kept.lock().unwrap();
            let is_first = name == "die once" && kept.deaths == 0;
            kept.deaths += u32::from(is_first);
            is_first
        };
        if is_first {
            panic!("told to die");
        }
        let mapping = memory.map(0, 4096, libipc::Protection::ReadWrite).unwrap();
        assert!(mapping.write(0, name.as_bytes()));
        Ok(Ends {
            memory,
            doorbell: Some(Handle::<Notification>::create().unwrap()),
        })
    }

    fn die(&mut self, _: Caller, times: u32) -> Result<u64, Error> {
        let mut kept = self.kept.lock().unwrap();
        kept.deaths += 1;
        let deaths = kept.deaths;
        drop(kept);
        if deaths <= times {
            panic!("told to die");
        }
        Ok(u64::from(deaths))
    }

    fn die_once(&mut self, _: Caller) -> Result<u64, Error> {
        self.kept.lock().unwrap().deaths += 1;
        panic!("told to die");
    }
}

/// Serves until the endpoint has no client left.
pub fn serve(endpoint: abi::Handle, kept: &Arc<Mutex<Kept>>) {
    let mut endpoint = Endpoint::from_handle(Handle::from_raw(endpoint));
    let mut server = Server::new(kept.clone());
    loop {
        match endpoint.receive(None) {
            Wake::Call(call) => sample::dispatch(&mut server, call),
            Wake::Cancelled(cancelled) => server.forget(cancelled),
            Wake::Rung(_) => server.kept.lock().unwrap().rung += 1,
            Wake::Closed(badge) => {
                server.kept.lock().unwrap().closed.push(badge);
                return;
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

pub struct Setup {
    pub machine: Machine,
    pub client: TestProcess,
    pub kept: Arc<Mutex<Kept>>,
    server: TestProcess,
    endpoint: abi::Handle,
    connection: abi::Handle,
}

impl Setup {
    pub fn new() -> Self {
        let machine = Machine::new();
        let (server, client) = (machine.process(), machine.process());
        let (endpoint, connection) = server.serve(Badge::for_client(0, 7), &client);
        Self {
            machine,
            client,
            kept: Arc::default(),
            server,
            endpoint,
            connection,
        }
    }

    /// Starts the next incarnation of the server.
    pub fn start(&mut self) -> Running<()> {
        let next = self.machine.process();
        let endpoint = self.server.pass(self.endpoint, &next);
        let kept = self.kept.clone();
        let running = next.start(move || serve(endpoint, &kept));
        self.server = next;
        self.endpoint = endpoint;
        running
    }

    /// Starts so many incarnations, each when the one before has died.
    pub fn start_lives(&mut self, lives: u32) -> std::thread::JoinHandle<()> {
        let owner = self.machine.process();
        let endpoint = self.server.pass(self.endpoint, &owner);
        let (machine, kept) = (self.machine.clone(), self.kept.clone());
        let held = machine.hold_time();
        std::thread::spawn(move || {
            let _held = held;
            for _ in 0..lives {
                let next = machine.process();
                let endpoint = owner.pass(endpoint, &next);
                let kept = kept.clone();
                if next.start(move || serve(endpoint, &kept)).join().is_ok() {
                    return;
                }
            }
        })
    }

    /// Runs as the client.
    pub fn as_client<R>(&self, job: impl FnOnce(sample::Client) -> R) -> R {
        let connection = self.connection;
        self.client
            .run(|| job(sample::Client::adopt(Handle::from_raw(connection))))
    }
}
