//! Calls, replies and waits.

use crate::kernel::Kernel;
use crate::objects::{
    CallState, End, Message, Object, ProcessId, Request, RequestId, RequestState, Source,
};
use crate::table::Entry;
use abi::message::{MAX_HANDLES, TRANSFER_OFFSET};
use abi::outcome::NotDelivered;
use abi::{CallOutcome, MessageInfo, Outcome, Rights, WakeKind};
use libipc::sys::Registers;
use libipc::sys::host::MessagePage;

/// What a wait gives, or why there is nothing yet.
pub enum Taken {
    Nothing,
    Wake,
}

impl Kernel {
    /// Takes a message out of registers and page. Moved handles leave the table.
    pub fn take_message(
        &mut self,
        process: ProcessId,
        registers: &Registers,
        page: &MessagePage,
    ) -> Result<Message, Outcome> {
        let info = registers.info();
        if !info.is_valid() {
            return Err(Outcome::BadArgument);
        }
        let length = info.length();
        let mut message = Message {
            words: registers.words.to_words(),
            length,
            ..Message::default()
        };
        if length > abi::message::REGISTER_BYTES {
            message.bytes = page[..length].to_vec();
        }
        let mut moved = Vec::new();
        for transfer in page[TRANSFER_OFFSET..]
            .chunks_exact(8)
            .take(info.handles().min(MAX_HANDLES))
        {
            let handle = u32::from_le_bytes([transfer[0], transfer[1], transfer[2], transfer[3]]);
            let rights = Rights::from_bits_truncate(u16::from_le_bytes([transfer[4], transfer[5]]));
            let entry = self.processes[process].table.get(handle)?;
            let needed = if transfer[6] == 1 {
                Rights::TRANSFER
            } else {
                Rights::TRANSFER | Rights::DUPLICATE
            };
            if !entry.rights.contains(needed) {
                return Err(Outcome::NoRights);
            }
            message.handles.push(Entry {
                object: entry.object,
                rights: entry.rights & rights,
            });
            if transfer[6] == 1 {
                moved.push(handle);
            }
        }
        // Counted before the moved originals go, so that a Connection under way does not close.
        for entry in message.handles.clone() {
            self.count(entry);
        }
        for handle in moved {
            let entry = self.processes[process].table.remove(handle)?;
            self.release(entry);
        }
        Ok(message)
    }

    /// Puts a message into registers and page of `process`.
    fn give_message(
        &mut self,
        process: ProcessId,
        message: Message,
        code: u8,
        kind: u8,
        registers: &mut Registers,
        page: &mut MessagePage,
    ) {
        let mut given = 0;
        for (entry, slot) in message
            .handles
            .iter()
            .zip(page[TRANSFER_OFFSET..].chunks_exact_mut(8))
        {
            let object = self.objects[entry.object].kind();
            if let Ok(handle) = self.insert(process, *entry) {
                slot[..4].copy_from_slice(&handle.0.to_le_bytes());
                slot[4..6].copy_from_slice(&entry.rights.bits().to_le_bytes());
                slot[6] = 0;
                slot[7] = object as u8;
                given += 1;
            }
            self.release_in_flight(*entry);
        }
        if !message.bytes.is_empty() {
            page[..message.length].copy_from_slice(&message.bytes);
        }
        registers.words = libipc::Words::from_words(message.words);
        registers.rax = u64::from(
            MessageInfo::new(code, message.length)
                .with_handles(given)
                .with_flags(kind)
                .0,
        );
    }

    fn release_in_flight(&mut self, entry: Entry) {
        self.release(entry);
    }

    fn drop_message(&mut self, message: Message) {
        for entry in message.handles {
            self.release_in_flight(entry);
        }
    }

    /// Queues a call.
    pub fn submit(
        &mut self,
        process: ProcessId,
        source: Source,
        registers: &Registers,
        page: &MessagePage,
    ) -> Result<RequestId, Outcome> {
        let handle = registers.rdi as u32;
        let on_behalf = (registers.rdi >> 32) as u32;
        let object = self.get(process, handle, Rights::CALL)?;
        let Object::Connection(connection) = &self.objects[object] else {
            return Err(Outcome::WrongType);
        };
        let (endpoint, badge, is_revoked) =
            (connection.endpoint, connection.badge, connection.is_revoked);
        let mut deadline = registers.rsi;
        if deadline == abi::layout::NEVER {
            return Err(Outcome::BadArgument);
        }
        if on_behalf != 0 {
            let behind = self.request_of(process, on_behalf)?;
            deadline = deadline.min(self.requests[behind].deadline);
        }
        let message = self.take_message(process, registers, page)?;
        let id = self.requests.len();
        self.requests.push(Request {
            source,
            badge,
            connection: object,
            endpoint,
            deadline,
            message,
            state: RequestState::Queued,
        });
        if is_revoked {
            self.end(
                id,
                Outcome::NotDelivered,
                NotDelivered::Revoked as u32,
                Message::default(),
            );
        } else if let Some(endpoint) = self.endpoint_of(endpoint) {
            endpoint.calls.push_back(id);
        } else {
            self.end(
                id,
                Outcome::NotDelivered,
                NotDelivered::Closed as u32,
                Message::default(),
            );
        }
        self.changed();
        Ok(id)
    }

    /// Ends a request; its source learns of it.
    pub fn end(&mut self, id: RequestId, outcome: Outcome, detail: u32, message: Message) {
        if matches!(self.requests[id].state, RequestState::Ended(_)) {
            self.drop_message(message);
            return;
        }
        let end = End {
            outcome: CallOutcome { outcome, detail },
            message,
        };
        let unread = std::mem::take(&mut self.requests[id].message);
        self.drop_message(unread);
        match self.requests[id].source {
            Source::Thread => self.requests[id].state = RequestState::Ended(end),
            Source::Call(object) => {
                self.requests[id].state = RequestState::Ended(End {
                    outcome: end.outcome,
                    message: Message::default(),
                });
                if let Object::Call(call) = &mut self.objects[object] {
                    call.state = CallState::Ended(end);
                    let endpoint = call.endpoint;
                    if let Some(endpoint) = self.endpoint_of(endpoint) {
                        endpoint.completed.push_back(object);
                    }
                }
            }
        }
        self.changed();
    }

    /// The holder of a Reply is gone, or dropped it.
    pub fn interrupt(&mut self, id: RequestId) {
        if matches!(self.requests[id].state, RequestState::Delivered) {
            let endpoint = self.requests[id].endpoint;
            let incarnation = self
                .endpoint_of(endpoint)
                .map_or(0, |endpoint| endpoint.incarnation);
            let message = Message {
                words: [incarnation, 0, 0, 0, 0, 0, 0, 0],
                ..Message::default()
            };
            self.end(id, Outcome::Interrupted, 0, message);
        }
    }

    /// Nobody wants the answer any more.
    pub fn cancel(&mut self, id: RequestId) {
        self.give_up(id, Outcome::Cancelled);
    }

    fn give_up(&mut self, id: RequestId, outcome: Outcome) {
        let was_delivered = matches!(self.requests[id].state, RequestState::Delivered);
        let (endpoint, badge) = (self.requests[id].endpoint, self.requests[id].badge);
        if let Some(endpoint) = self.endpoint_of(endpoint) {
            endpoint.calls.retain(|queued| *queued != id);
            if was_delivered {
                endpoint.cancelled.push_back((badge, id));
            }
        }
        self.end(id, outcome, u32::from(was_delivered), Message::default());
    }

    /// Ends every call whose deadline has passed.
    pub fn expire(&mut self) {
        for id in 0..self.requests.len() {
            if !matches!(self.requests[id].state, RequestState::Ended(_))
                && self.requests[id].deadline <= self.now
            {
                self.give_up(id, Outcome::DeadlinePassed);
            }
        }
    }

    /// The earliest deadline of a call under way.
    pub fn next_deadline(&self) -> Option<u64> {
        let open = self
            .requests
            .iter()
            .filter(|request| !matches!(request.state, RequestState::Ended(_)));
        open.map(|request| request.deadline).min()
    }

    /// Answers.
    pub fn reply(
        &mut self,
        process: ProcessId,
        registers: &Registers,
        page: &MessagePage,
    ) -> Result<(), Outcome> {
        let handle = (registers.rdi >> 32) as u32;
        let request = self.request_of(process, handle)?;
        let message = self.take_message(process, registers, page)?;
        self.processes[process].table.remove(handle)?;
        self.end(request, Outcome::Ok, 0, message);
        self.changed();
        Ok(())
    }

    /// Takes the end of a blocking call, if it has ended.
    pub fn take_end(
        &mut self,
        process: ProcessId,
        id: RequestId,
        registers: &mut Registers,
        page: &mut MessagePage,
    ) -> bool {
        let RequestState::Ended(end) = &mut self.requests[id].state else {
            return false;
        };
        let outcome = end.outcome;
        let message = std::mem::take(&mut end.message);
        self.give_message(process, message, outcome.outcome as u8, 0, registers, page);
        registers.rax |= u64::from(outcome.detail) << 32;
        true
    }

    /// Takes the end of a Call.
    pub fn take_completed(
        &mut self,
        process: ProcessId,
        object: usize,
        registers: &mut Registers,
    ) -> Result<(), Outcome> {
        let Object::Call(call) = &mut self.objects[object] else {
            return Err(Outcome::WrongType);
        };
        let (cookie, page) = (call.cookie, call.page);
        let CallState::Ended(end) = std::mem::replace(&mut call.state, CallState::Idle) else {
            return Err(Outcome::WouldBlock);
        };
        let mut bytes = page.read();
        self.give_message(
            process,
            end.message,
            Outcome::Ok as u8,
            WakeKind::Completed as u8,
            registers,
            &mut bytes,
        );
        page.write(&bytes);
        registers.rax |= u64::from(end.outcome.to_bits()) << 32;
        registers.rdi = cookie;
        registers.rsi = 0;
        Ok(())
    }

    /// Takes the next thing that an endpoint has, in the kernel's order.
    pub fn take_wake(
        &mut self,
        process: ProcessId,
        handle: u32,
        registers: &mut Registers,
        page: &mut MessagePage,
    ) -> Result<Taken, Outcome> {
        let (object, endpoint) = self.endpoint(process, handle, Rights::RECEIVE)?;
        match endpoint.receiver {
            None => {
                endpoint.receiver = Some(process);
                endpoint.incarnation = endpoint.incarnation.max(1);
            }
            Some(receiver) if receiver != process => return Err(Outcome::Busy),
            Some(_) => {}
        }
        for (notification, cookie) in endpoint.notifications.clone() {
            if let Object::Notification(notification) = &mut self.objects[notification]
                && notification.bits != 0
            {
                let bits = std::mem::take(&mut notification.bits);
                wake(registers, WakeKind::Notified, cookie, bits);
                return Ok(Taken::Wake);
            }
        }
        let Some(endpoint) = self.endpoint_of(object) else {
            return Err(Outcome::WrongType);
        };
        if let Some(call) = endpoint.completed.pop_front() {
            return self
                .take_completed(process, call, registers)
                .map(|()| Taken::Wake);
        }
        if let Some((badge, request)) = endpoint.cancelled.pop_front() {
            wake(
                registers,
                WakeKind::Cancelled,
                badge,
                u64::from(self.reply_in(process, request)),
            );
            return Ok(Taken::Wake);
        }
        if let Some(badge) = endpoint.closed.pop_front() {
            wake(registers, WakeKind::Closed, badge, 0);
            return Ok(Taken::Wake);
        }
        if let Some(connection) = endpoint.rung.pop_front() {
            if let Object::Connection(connection) = &self.objects[connection] {
                wake(registers, WakeKind::Rung, connection.badge, 0);
            }
            return Ok(Taken::Wake);
        }
        match endpoint.calls.front().copied() {
            Some(request) => self.deliver(process, object, request, registers, page),
            None => Ok(Taken::Nothing),
        }
    }

    fn deliver(
        &mut self,
        process: ProcessId,
        endpoint: usize,
        request: RequestId,
        registers: &mut Registers,
        page: &mut MessagePage,
    ) -> Result<Taken, Outcome> {
        let table = &self.processes[process].table;
        if table.limit < table.count() + 1 + self.requests[request].message.handles.len() {
            return Err(Outcome::QuotaHandles);
        }
        if let Some(endpoint) = self.endpoint_of(endpoint) {
            endpoint.calls.pop_front();
        }
        let message = std::mem::take(&mut self.requests[request].message);
        self.requests[request].state = RequestState::Delivered;
        let reply = self.make(process, Object::Reply(request), Rights::empty())?;
        let badge = self.requests[request].badge;
        self.give_message(
            process,
            message,
            Outcome::Ok as u8,
            WakeKind::Call as u8,
            registers,
            page,
        );
        registers.rdi = badge;
        registers.rsi = reply | (16 << 32);
        Ok(Taken::Wake)
    }

    /// The handle of the Reply that answers a request.
    fn reply_in(&self, process: ProcessId, request: RequestId) -> u32 {
        let is_it = |object: usize| matches!(&self.objects[object], Object::Reply(answered) if *answered == request);
        self.processes[process]
            .table
            .find(is_it)
            .map_or(0, |handle| handle.0)
    }
}

fn wake(registers: &mut Registers, kind: WakeKind, rdi: u64, rsi: u64) {
    registers.rax = u64::from(
        MessageInfo::new(Outcome::Ok as u8, 0)
            .with_flags(kind as u8)
            .0,
    );
    registers.rdi = rdi;
    registers.rsi = rsi;
    registers.words = libipc::Words::default();
}
