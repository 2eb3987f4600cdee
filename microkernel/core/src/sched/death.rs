//! The end of processes and threads.
//!
//! A condemned process runs no more at once; what it had is taken apart in slices by its home: threads, the endpoints that it received on,
//! handles, mappings, page tables, and at last its fault Connection, so that its supervisor hears `Closed` when everything was returned.

use core::sync::atomic::Ordering;

use abi::{records::DeathCause, records::ProcessState, records::ThreadState};

use super::work::Progress;
use crate::handle::meta;
use crate::mem::frame::Frame;
use crate::object::{CallState, Name, Process, Resource, Thread};
use crate::sched::inbox::reason;
use crate::sync::Order;
use crate::syscall::fault_handle;
use crate::{Kernel, Machine};

/// Threads, handles or mappings that are ended in one slice.
const SLICE: u32 = 16;
/// Tables that are freed in one slice; each may cost a search through three tables.
const TABLE_SLICE: u32 = 4;

/// How far taking apart has got: the number in [`Process::stage`].
mod stage {
    pub const THREADS: u32 = 0;
    pub const ENDPOINTS: u32 = 1;
    pub const HANDLES: u32 = 2;
    pub const HANDLE_FRAMES: u32 = 3;
    pub const MAPPINGS: u32 = 4;
    pub const TABLES: u32 = 5;
}

impl<M: Machine> Kernel<M> {
    /// Ends a process that lives here. Nothing happens to one that is dying already.
    pub fn condemn(&self, name: Name<Process>, cause: DeathCause, code: u64) {
        let process = self.at(name);
        if !process.is_alive() {
            return;
        }
        process.mark_condemned();
        process.set_state(ProcessState::Dying);
        process.set_cause(cause);
        process.code.set(code);
        let current = self.current();
        if current.is_some() && self.at(current).process.get() == name {
            self.stop_current();
        }
        self.add_work(name.cast());
    }

    /// A post about a process.
    pub fn serve_process(&self, name: Name<Process>, reasons: u32) {
        let home = self.at(name).home();
        if home != self.cpu() {
            return self.post(name.cast(), reasons, home);
        }
        if reasons & reason::MOVE != 0 {
            self.take_up_process(name);
        }
        if reasons & reason::KILL != 0 {
            self.condemn(name, DeathCause::QuotaClosed, 0);
        }
    }

    /// Does a slice of taking a process apart.
    pub fn take_apart_process(&self, name: Name<Process>) -> Progress {
        let process = self.at(name);
        let is_done = match process.stage.get() {
            stage::THREADS => match self.end_threads(process) {
                Progress::Done => true,
                other => return other,
            },
            stage::ENDPOINTS => self.end_reception(process),
            stage::HANDLES => self.close_handles(process),
            stage::HANDLE_FRAMES => self.free_handle_table(process),
            stage::MAPPINGS => {
                self.deactivate(name);
                self.end_mappings(process)
            }
            stage::TABLES => {
                if self.free_tables(process.header.quota.get(), process.root_frame(), TABLE_SLICE) {
                    self.bury(name, process);
                    return Progress::Done;
                }
                false
            }
            _ => return Progress::Done,
        };
        if is_done {
            process.stage.set(process.stage.get() + 1);
        }
        Progress::More
    }

    /// Ends threads. Those whose wait another CPU keeps are asked for; the last to come home goes on with the process.
    fn end_threads(&self, process: &Process) -> Progress {
        for _ in 0..SLICE {
            let Some(name) = process.threads.first() else {
                return Progress::Done;
            };
            if process.cursor.get() >= u64::from(process.thread_count.get()) {
                // All that are left are on their way.
                process.cursor.set(0);
                process.is_waiting_for_threads.set(1);
                return Progress::Waiting;
            }
            if !self.stop_thread(name) {
                self.rotate(&process.threads);
                process.cursor.set(process.cursor.get() + 1);
            }
        }
        Progress::More
    }

    /// Ends a thread of a dying process; false if it is not here to be ended.
    fn stop_thread(&self, name: Name<Thread>) -> bool {
        let thread = self.at(name);
        if thread.is_away.get() != 0 || thread.call.state() != CallState::Idle {
            self.request_cancel(name.cast());
        } else {
            self.withdraw(name);
            if matches!(thread.state(), ThreadState::Receiving | ThreadState::Waiting) {
                self.cancel_wait(name, abi::Outcome::Cancelled);
            }
            self.end_thread(name);
            return true;
        }
        // A call in this CPU's own custody has ended by now, and its thread has been ended with it.
        thread.is(ThreadState::Dead)
    }

    /// A thread of a dying process has come home from another CPU, or its call has ended.
    pub fn thread_came_home(&self, name: Name<Thread>) {
        let process_name = self.at(name).process.get();
        let process = self.at(process_name);
        let was_waiting = process.is_waiting_for_threads.get() != 0;
        self.end_thread(name);
        if was_waiting {
            process.is_waiting_for_threads.set(0);
            self.add_work(process_name.cast());
        }
    }

    /// Ends a thread that is in no queue and is not current.
    pub fn end_thread(&self, name: Name<Thread>) {
        let thread = self.at(name);
        let process = self.at(thread.process.get());
        thread.set_state(ThreadState::Dead);
        thread.header.is_dead.store(1, Ordering::Release);
        thread.since.set(self.machine().ticks());
        self.unlink(&process.threads, name);
        process.thread_count.set(process.thread_count.get() - 1);
        self.set_payer(&thread.payer, Name::NONE);
        self.for_each_endpoint(process, |endpoint| {
            let server = &self.at(endpoint).server;
            server.set(if server.get() == name { Name::NONE } else { server.get() });
        });
        let pages = thread.pages.replace(Name::NONE);
        self.unpin(pages);
        self.uncharge(process.header.quota.get(), Resource::Threads, 1);
        self.unpin(name);
    }

    fn end_reception(&self, process: &Process) -> bool {
        for _ in 0..SLICE {
            let Some(endpoint) = process.endpoints.first() else {
                process.cursor.set(1);
                return true;
            };
            self.unbind_endpoint(process, endpoint);
        }
        false
    }

    fn close_handles(&self, process: &Process) -> bool {
        let end = process.slots_made.get().min(process.cursor.get() as u32 + SLICE);
        for index in process.cursor.get() as u32..end {
            let slot = self.slot(process, index as usize);
            let bits = slot.meta.get() & !(meta::UNTOLD | meta::CLOSED);
            slot.meta.set(bits);
            if meta::kind(bits) != 0 {
                self.close_slot(process, index, slot);
            }
        }
        process.cursor.set(u64::from(end));
        let is_done = end == process.slots_made.get();
        if is_done {
            process.cursor.set(0);
        }
        is_done
    }

    fn free_handle_table(&self, process: &Process) -> bool {
        let root = Frame::new(process.handle_root.get());
        let quota = process.header.quota.get();
        for place in self.machine().words(root) {
            if place.get() != 0 {
                self.give_charged_frame(quota, Frame::new(place.replace(0)));
            }
        }
        let slots = process.slots_made.replace(0);
        process.free_slots.set(0);
        process.next_handle.set(0);
        self.uncharge(quota, Resource::Handles, u64::from(slots));
        self.give_charged_frame(quota, root);
        process.handle_root.set(0);
        true
    }

    fn end_mappings(&self, process: &Process) -> bool {
        for _ in 0..SLICE {
            let root = process.mappings.get();
            if root.is_none() {
                process.mapped_bytes.set(0);
                return true;
            }
            self.detach(process, root);
        }
        false
    }

    /// The last step: everything was returned but the record.
    fn bury(&self, name: Name<Process>, process: &Process) {
        let count = process.port_count.replace(0) as usize;
        for ports in process.ports.iter().take(count) {
            self.unpin(ports.get());
        }
        let quota = process.header.quota.get();
        {
            let _guard = self.shared().tree.take(self.machine(), Order::Tree);
            self.unlink(&self.at(quota).processes, name);
        }
        process.set_state(ProcessState::Dead);
        self.set_payer(&process.payer, Name::NONE);
        let faults = process.fault_connection.replace(Name::NONE);
        if faults.is_some() {
            self.release(fault_handle(faults));
        }
        self.init_may_have_died(name);
        self.unpin(name);
    }
}
