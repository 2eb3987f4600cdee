//! The kernel's objects, as far as tests need them.

use crate::memory::{Block, CallPage};
use crate::table::{Entry, ObjectId};
use abi::{CallOutcome, ObjectType};
use std::collections::VecDeque;

pub type ProcessId = usize;
pub type RequestId = usize;

#[derive(Debug)]
pub enum Object {
    Endpoint(Endpoint),
    Connection(Connection),
    Call(Call),
    Reply(RequestId),
    Notification(Notification),
    Memory(Block),
    Capsule(Capsule),
    Process(ProcessId),
    Thread {
        process: ProcessId,
        start: [u64; 8],
        is_started: bool,
    },
    Quota,
}

impl Object {
    pub fn kind(&self) -> ObjectType {
        match self {
            Self::Endpoint(_) => ObjectType::Endpoint,
            Self::Connection(_) => ObjectType::Connection,
            Self::Call(_) => ObjectType::Call,
            Self::Reply(_) => ObjectType::Reply,
            Self::Notification(_) => ObjectType::Notification,
            Self::Memory(_) => ObjectType::Memory,
            Self::Capsule(_) => ObjectType::Capsule,
            Self::Process(_) => ObjectType::Process,
            Self::Thread { .. } => ObjectType::Thread,
            Self::Quota => ObjectType::Quota,
        }
    }
}

#[derive(Debug, Default)]
pub struct Endpoint {
    pub receiver: Option<ProcessId>,
    pub incarnation: u64,
    pub calls: VecDeque<RequestId>,
    pub completed: VecDeque<ObjectId>,
    pub cancelled: VecDeque<(u64, RequestId)>,
    pub closed: VecDeque<u64>,
    pub rung: VecDeque<ObjectId>,
    pub notifications: Vec<(ObjectId, u64)>,
}

#[derive(Debug)]
pub struct Connection {
    pub endpoint: ObjectId,
    pub badge: u64,
    pub is_revoked: bool,
    pub counted: usize,
}

#[derive(Debug)]
pub struct Call {
    pub endpoint: ObjectId,
    pub cookie: u64,
    pub page: CallPage,
    pub state: CallState,
}

#[derive(Debug)]
pub enum CallState {
    Idle,
    UnderWay(RequestId),
    Ended(End),
}

#[derive(Debug, Default)]
pub struct Notification {
    pub bits: u64,
}

#[derive(Debug)]
pub struct Capsule {
    pub memory: ObjectId,
    pub slots: Vec<Option<Entry>>,
}

/// A message on its way.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub words: [u64; 8],
    pub length: usize,
    /// The bytes, if they do not fit the words.
    pub bytes: Vec<u8>,
    pub handles: Vec<Entry>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct End {
    pub outcome: CallOutcome,
    pub message: Message,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    Thread,
    Call(ObjectId),
}

/// A call, from its start to its end.
#[derive(Debug)]
pub struct Request {
    pub source: Source,
    pub badge: u64,
    pub connection: ObjectId,
    pub endpoint: ObjectId,
    pub deadline: u64,
    pub message: Message,
    pub state: RequestState,
}

#[derive(Debug)]
pub enum RequestState {
    Queued,
    /// A server has it.
    Delivered,
    Ended(End),
}
