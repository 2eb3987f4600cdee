//! System calls on endpoints, Connections and Calls, and the beginning of `receive`.

use abi::{Handle, Outcome, Rights, layout::PAGE_SIZE, syscall::protection};

use super::{Next, Operands, Stop};
use crate::handle::Held;
use crate::mem::unmap::{MappingRequest, Sharing, UserRange};
use crate::object::{Call, Connection, Endpoint, Name, Thread};
use crate::{Kernel, Machine};

/// What the server's handle of a new Connection may do: end it and copy itself, but not call.
const KEEPER: Rights = Rights::REVOKE.union(Rights::DUPLICATE).union(Rights::TRANSFER).union(Rights::INSPECT);

impl<M: Machine> Kernel<M> {
    /// `receive(endpoint, deadline)`.
    ///
    /// Checks, in order: the endpoint (`RECEIVE`); it lives; no other process receives on it; what is next fits into the handle table.
    pub(super) fn start_receive(&self, name: Name<Thread>, thread: &Thread) -> Result<Next, Stop> {
        let handle = Handle(thread.context.handles.get() as u32);
        let endpoint = self.bind_endpoint(thread, handle)?;
        self.receive(name, endpoint)?;
        // It has its wake in the registers, or waits for one.
        Ok(Next::Blocked)
    }

    /// `reply_receive(endpoint, Reply, deadline, message)`: both, if both can be done.
    ///
    /// Checks, in order: those of `receive`, then those of `reply`.
    pub(super) fn reply_receive(&self, name: Name<Thread>, thread: &Thread) -> Result<Next, Stop> {
        let handle = Handle(thread.context.handles.get() as u32);
        let endpoint = self.bind_endpoint(thread, handle)?;
        self.reply(thread)?;
        self.receive(name, endpoint)?;
        Ok(Next::Blocked)
    }

    /// A thread of another CPU wants to receive on an endpoint that is at home here: it gets it, and then calls again.
    pub(super) fn fetch_endpoint(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        self.fetch(operands, operands.a())
    }

    /// The same for an endpoint that its operands name elsewhere.
    pub(super) fn fetch(&self, operands: &Operands<'_>, name: Name<Endpoint>) -> Result<Next, Stop> {
        let wanted = operands.thread.header.home();
        if self.at(name).header.home() != wanted {
            self.at_home(name)?;
            self.hand_over_endpoint(name, wanted)?;
        }
        operands.thread.must_continue.set(1);
        Ok(Next::Written)
    }

    /// `endpoint_create()`. Checks: the quota.
    pub(super) fn endpoint_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let (name, _) = self.allocate::<Endpoint>(self.payer(operands)?)?;
        self.give(operands, name, Rights::all())
    }

    /// `endpoint_mint(endpoint, badge)`.
    ///
    /// Checks, in order: the endpoint (`MINT`); it lives; the quota.
    pub(super) fn endpoint_mint(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let endpoint: Name<Endpoint> = operands.a();
        if self.at(endpoint).header.is_dead() {
            return Err(Outcome::InvalidState.into());
        }
        let (name, connection) = self.allocate::<Connection>(self.payer(operands)?)?;
        connection.endpoint.set(endpoint);
        connection.badge.set(operands.word(0));
        self.pin(endpoint);
        self.return_handle(operands, 0, Held::new(name, KEEPER));
        self.return_handle(operands, 1, Held::new(name, Rights::CLIENT));
        Ok(Next::Done)
    }

    /// `connection_revoke(connection)`, at the endpoint's home. Checks: the Connection (`REVOKE`).
    pub(super) fn connection_revoke(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Connection> = operands.a();
        self.at_home(self.at(name).endpoint.get())?;
        Ok(if self.revoke_connection(name) { Next::Done } else { Next::Again })
    }

    /// `endpoint_info(endpoint)`, at its home. Checks: the endpoint (`INSPECT`).
    pub(super) fn endpoint_info(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let endpoint = self.at_home(operands.a::<Endpoint>())?;
        let oldest = endpoint
            .calls
            .iter()
            .filter_map(crate::object::list::Head::first)
            .map(|call| self.at(call).call.queued_at.get())
            .min();
        let age = oldest.map_or(0, |since| {
            let ticks = self.machine().ticks().wrapping_sub(since);
            self.machine().ticks_to_nanoseconds(ticks)
        });
        operands.set_result(endpoint.queued.get());
        operands.set_second_result(u64::from(endpoint.incarnation.get()));
        operands.set_words(&[u64::from(self.has_receiver(endpoint)), age]);
        Ok(Next::Done)
    }

    /// `call_create(endpoint, cookie, address)`.
    ///
    /// Checks, in order: the endpoint (`RECEIVE`); no other process receives on it; the address; the quota.
    pub(super) fn call_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        if operands.thread.is_away.get() != 0 {
            return self.fetch_endpoint(operands);
        }
        let thread = operands.thread;
        let handle = Handle(thread.context.handles.get() as u32);
        let endpoint = self.bind_endpoint(thread, handle)?;
        let range = UserRange::new(operands.word(1), PAGE_SIZE as u64)?;
        let process_name = thread.process.get();
        let quota = self.at(process_name).header.quota.get();
        let (name, call) = self.allocate::<Call>(quota)?;
        let page = match self.make_message_pages(process_name, range) {
            Ok(page) => page,
            Err(outcome) => {
                self.free(name);
                return Err(outcome.into());
            }
        };
        let memory = self.at(page);
        let frame = self.page_frame(memory, 0).map_or(0, |frame| frame.number());
        call.cookie.set(operands.word(0));
        call.report.set(endpoint);
        call.process.set(process_name);
        call.page.set(page);
        call.call.send_page.set(frame);
        call.call.receive_page.set(frame);
        call.call.set_custody(self.cpu());
        self.pin(endpoint);
        // It stays in its process: its page is mapped there.
        let rights = Rights::all().difference(Rights::TRANSFER.union(Rights::DUPLICATE));
        self.give(operands, name, rights)
    }

    /// Message pages: memory of the process's own, present from the start, mapped at `range`, with a reference for the caller to keep.
    pub(super) fn make_message_pages(
        &self,
        process_name: Name<crate::object::process::Process>,
        range: UserRange,
    ) -> Result<Name<crate::object::memory::Memory>, Outcome> {
        let quota = self.at(process_name).header.quota.get();
        let name = self.make_anonymous(quota, range.pages())?;
        self.pin(name);
        let memory = self.at(name);
        let bits = (protection::READ | protection::WRITE) as u32;
        let result =
            (0..range.pages()).try_for_each(|page| self.page_frame_or_new(memory, page).map(|_| ())).and_then(|()| {
                self.map(
                    process_name,
                    &MappingRequest {
                        range,
                        memory: name,
                        first_page: 0,
                        protection: bits,
                        allowed: bits,
                        sharing: Sharing::Shared,
                    },
                )
            });
        match result {
            Ok(()) => Ok(name),
            Err(outcome) => {
                self.unpin(name);
                Err(outcome)
            }
        }
    }
}
