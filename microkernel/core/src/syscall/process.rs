//! System calls on processes. All but `process_create` are performed at the process's home.

use abi::{
    Outcome, Rights, layout::PAGE_SIZE, message::TransferMode, records::DeathCause, syscall::MemoryKind,
    syscall::protection,
};

use super::{Next, Operands, Stop};
use crate::handle::Held;
use crate::machine::Access;
use crate::mem::frame::Frame;
use crate::mem::unmap::{MappingRequest, Sharing, UserRange, check_protection};
use crate::object::{Connection, Memory, Name, PRIORITIES, Process, Quota, Resource};
use crate::sync::Order;
use crate::{Kernel, Machine};

impl<M: Machine> Kernel<M> {
    /// The process that a call is about, which is alive and lives here.
    pub fn living_process(&self, operands: &Operands<'_>) -> Result<(Name<Process>, &Process), Stop> {
        let name: Name<Process> = operands.a();
        let process = self.at_home(name)?;
        if process.is_alive() { Ok((name, process)) } else { Err(Outcome::InvalidState.into()) }
    }

    /// `process_create(quota, fault connection, priority)`.
    ///
    /// Checks, in order: the quota (`MANAGE`); the Connection (`CALL`), if there is one; the priority, which is at most that of the
    /// caller's process; the quota is open and has room.
    pub(super) fn process_create(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let highest = operands.word(0);
        let own = self.at(operands.thread.process.get()).highest_priority.get();
        if highest > u64::from(own) {
            return Err(Outcome::BadArgument.into());
        }
        let name = self.make_process(operands.a(), operands.b(), highest as u32)?;
        // What a limited process makes runs on its budget.
        self.set_payer(&self.at(name).payer, self.at(operands.thread.process.get()).payer.get());
        self.give(operands, name, Rights::all())
    }

    /// A process without threads. It keeps itself alive.
    pub fn make_process(
        &self,
        quota_name: Name<Quota>,
        faults: Name<Connection>,
        highest: u32,
    ) -> Result<Name<Process>, Outcome> {
        let quota = self.at(quota_name);
        if quota.header.is_dead() {
            return Err(Outcome::InvalidState);
        }
        if highest as usize >= PRIORITIES {
            return Err(Outcome::BadArgument);
        }
        let (name, process) = self.allocate::<Process>(quota_name)?;
        let made = self.take_charged_frame(quota).and_then(|handles| {
            process.handle_root.set(handles.number());
            process.root.set(self.make_tables(quota)?.number());
            Ok(())
        });
        if let Err(outcome) = made {
            let handles = process.handle_root.get();
            self.free(name);
            if handles != 0 {
                self.give_charged_frame(quota_name, Frame::new(handles));
            }
            return Err(outcome);
        }
        process.highest_priority.set(highest);
        if faults.is_some() {
            self.acquire(fault_handle(faults));
            process.fault_connection.set(faults);
        }
        self.pin(name);
        let _guard = self.shared().tree.take(self.machine(), Order::Tree);
        self.push_back(&quota.processes, name);
        Ok(name)
    }

    /// `process_map(process, memory, protection, address, offset, length)`.
    ///
    /// Checks, in order: the process (`MAP`); the memory (`MAP`); the protection, and the memory's rights for it (for a private mapping `READ` is enough,
    /// and it is not a device's); the range; the process lives;
    /// offset and length; nothing is mapped there; the quota.
    pub(super) fn process_map(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let held = operands.held_b()?;
        let private = protection::PRIVATE & operands.argument();
        let bits = check_protection(operands.argument() & !private)?;
        let mut allowed = allowed_protection(held.rights);
        let sharing = if private != 0 { Sharing::Private } else { Sharing::Shared };
        if sharing == Sharing::Private {
            if self.at(operands.b::<Memory>()).kind() == MemoryKind::Device {
                return Err(Outcome::Unsupported.into());
            }
            // Who can read can copy, and may do with the copy what it likes.
            allowed |= (allowed & protection::READ as u32) * protection::WRITE as u32;
        }
        if bits & !allowed != 0 {
            return Err(Outcome::NoRights.into());
        }
        let range = UserRange::new(operands.word(0), operands.word(2))?;
        let offset = operands.word(1);
        if !offset.is_multiple_of(PAGE_SIZE as u64) {
            return Err(Outcome::BadArgument.into());
        }
        let (name, _) = self.living_process(operands)?;
        self.map(
            name,
            &MappingRequest {
                range,
                memory: operands.b(),
                first_page: offset / PAGE_SIZE as u64,
                protection: bits,
                allowed,
                sharing,
            },
        )?;
        Ok(Next::Done)
    }

    /// `process_unmap(process, address, length)`, a slice. Checks, in order: the process (`MAP`); the range; the process lives; the quota, if a
    /// mapping must be split.
    pub(super) fn process_unmap(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let range = UserRange::new(operands.word(0), operands.word(1))?;
        let (_, process) = self.living_process(operands)?;
        Ok(if self.unmap_slice(process, range)? { Next::Done } else { Next::Again })
    }

    /// `process_protect(process, protection, address, length)`, a slice.
    ///
    /// Checks, in order: the process (`MAP`); the protection; the range; the process lives; all of it is mapped, with that right; the quota, if
    /// a mapping must be split.
    pub(super) fn process_protect(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let bits = check_protection(operands.argument())?;
        let range = UserRange::new(operands.word(0), operands.word(1))?;
        let (_, process) = self.living_process(operands)?;
        let progress = &operands.thread.progress;
        if progress.get() == 0 {
            self.check_reprotection(process, range, bits)?;
            progress.set(range.start());
        }
        match self.reprotect_slice(process, range, progress.get(), bits)? {
            Some(next) => {
                progress.set(next);
                Ok(Next::Again)
            }
            None => Ok(Next::Done),
        }
    }

    /// `process_grant(process, handle, mode, rights)`.
    ///
    /// Checks, in order: the process (`MANAGE`); the handle (`TRANSFER`, and `DUPLICATE` for a copy); the mode; the process lives; a slot is free
    /// in its table.
    pub(super) fn process_grant(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let held = operands.held_b()?;
        let is_move = if operands.argument() == TransferMode::Move as u64 {
            true
        } else if operands.argument() == TransferMode::Copy as u64 {
            false
        } else {
            return Err(Outcome::BadArgument.into());
        };
        if !is_move && !held.rights.contains(Rights::DUPLICATE) {
            return Err(Outcome::NoRights.into());
        }
        let (_, process) = self.living_process(operands)?;
        self.reserve_slots(process, 1)?;
        let granted = Held { rights: held.rights & Rights::from_bits_retain(operands.word(0) as u16), ..held };
        self.acquire(granted);
        match self.insert(process, granted) {
            Ok(handle) => {
                let own = (operands.thread.context.handles.get() >> 32) as u32;
                operands.thread.moved.set(if is_move { own } else { 0 });
                operands.set_result(u64::from(handle.0));
                Ok(Next::Done)
            }
            Err(outcome) => {
                self.release(granted);
                Err(outcome.into())
            }
        }
    }

    /// `process_kill(process, code)`. Checks: the process (`MANAGE`). One that is dead already stays as it is.
    pub(super) fn process_kill(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Process> = operands.a();
        self.at_home(name)?;
        self.condemn(name, DeathCause::Killed, operands.word(0));
        Ok(self.after_condemning(operands))
    }

    /// `process_exit(status)`.
    pub(super) fn process_exit(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name = operands.thread.process.get();
        self.condemn(name, DeathCause::Exited, operands.word(0));
        Ok(Next::Blocked)
    }

    /// A thread that has condemned its own process has no results to wait for.
    fn after_condemning(&self, operands: &Operands<'_>) -> Next {
        if operands.thread.is_away.get() == 0 && self.current() != operands.name { Next::Blocked } else { Next::Done }
    }

    /// `process_move(process, cpu)`. Checks, in order: the process (`MANAGE`); the CPU; the process lives.
    pub(super) fn process_move(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let cpu = operands.word(0);
        if cpu >= self.shared().cpu_count() as u64 {
            return Err(Outcome::NotFound.into());
        }
        let (name, _) = self.living_process(operands)?;
        if cpu as usize == self.cpu() {
            return Ok(Next::Done);
        }
        // A caller that moves itself goes on at its new home.
        operands.thread.context.info.set(Outcome::Ok as u64);
        self.move_process(name, cpu as usize);
        Ok(Next::Written)
    }

    /// `process_info(process)`. Checks: the process (`INSPECT`).
    pub(super) fn process_info(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let name: Name<Process> = operands.a();
        let process = self.at_home(name)?;
        operands.set_result(process.state() as u64 | u64::from(process.cause()) << 8 | (process.home() as u64) << 16);
        operands.set_second_result(process.code.get());
        let handles = process.slots_made.get().saturating_sub(process.free_slots.get() + 1);
        operands.set_words(&[
            self.machine().ticks_to_nanoseconds(process.ticks.get()),
            self.at(process.header.quota.get()).used(Resource::Frames),
            u64::from(handles),
            u64::from(process.thread_count.get()),
            process.faults.get(),
            process.switches.get(),
            process.mapped_bytes.get(),
            self.public_number(name.bits()),
        ]);
        Ok(Next::Done)
    }

    /// `process_thread(process, number)`. Checks, in order: the process (`INSPECT | MANAGE`); such a thread exists.
    pub(super) fn process_thread(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        let process = self.at_home(operands.a::<Process>())?;
        let number = operands.word(0);
        let mut next = process.threads.first();
        while let Some(thread) = next {
            if u64::from(self.at(thread).number.get()) == number {
                self.return_handle(operands, 0, Held::new(thread, Rights::all()));
                return Ok(Next::Done);
            }
            next = self.next_in(&process.threads, thread);
        }
        Err(Outcome::NotFound.into())
    }

    /// `process_read(process, address, length)`. Checks, in order: the process (`READ`); the length; the process lives; the first byte is there.
    pub(super) fn process_read(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        self.copy_memory(operands, Access::Read)
    }

    /// `process_write(process, address, length)`. Checks, in order: the process (`WRITE`); the length; the process lives; the first byte is there
    /// and its mapping may be written.
    pub(super) fn process_write(&self, operands: &Operands<'_>) -> Result<Next, Stop> {
        self.copy_memory(operands, Access::Write)
    }

    fn copy_memory(&self, operands: &Operands<'_>, wanted: Access) -> Result<Next, Stop> {
        let (address, length) = (operands.word(0), operands.word(1));
        if length > PAGE_SIZE as u64 {
            return Err(Outcome::BadArgument.into());
        }
        let (_, process) = self.living_process(operands)?;
        let record = &operands.thread.call;
        let needed = if wanted == Access::Read { protection::READ } else { protection::WRITE };
        let mut done = 0;
        while done < length {
            let Some(at) = address.checked_add(done) else {
                break;
            };
            let may =
                self.mapping_at(process, at).is_some_and(|name| u64::from(self.at(name).allowed.get()) & needed != 0);
            let Some((frame, offset)) = may.then(|| self.frame_behind(process, at, wanted)).flatten() else {
                break;
            };
            let count = (length - done).min((PAGE_SIZE - offset) as u64) as usize;
            if wanted == Access::Read {
                self.copy_between(frame, offset, Frame::new(record.receive_page.get()), done as usize, count);
            } else {
                self.copy_between(Frame::new(record.send_page.get()), done as usize, frame, offset, count);
            }
            done += count as u64;
        }
        if done == 0 && length != 0 {
            return Err(Outcome::NotMapped.into());
        }
        operands.set_result(done);
        Ok(Next::Done)
    }
}

/// The counted copy of a Connection that a process keeps for its faults.
pub fn fault_handle(connection: Name<Connection>) -> Held {
    Held::new(connection, Rights::CALL)
}

/// The most that a mapping made with these rights may allow.
fn allowed_protection(rights: Rights) -> u32 {
    let pairs =
        [(Rights::READ, protection::READ), (Rights::WRITE, protection::WRITE), (Rights::EXECUTE, protection::EXECUTE)];
    pairs.into_iter().filter(|&(right, _)| rights.contains(right)).fold(0, |bits, (_, bit)| bits | bit as u32)
}
