//! Looking into the kernel's books, for tests: everything that is counted in one place can be counted again in another.

use core::sync::atomic::Ordering;

use abi::records::ThreadState;

use crate::handle::{Held, Reference, meta};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::object::call::{CallState, Caller};
use crate::object::capsule::Capsule;
use crate::object::endpoint::{Endpoint, PRIORITIES, pending};
use crate::object::header::{Any, Kind, counts_as_owner};
use crate::object::name::Name;
use crate::object::process::Process;
use crate::object::quota::{Quota, Resource};
use crate::object::thread::Thread;
use crate::syscall::fault_handle;

/// What is wrong.
pub type Violation = &'static str;

impl<M: Machine> Kernel<M> {
    /// Frames in this CPU's stock.
    pub fn audit_stock(&self) -> u64 {
        self.stock.count() as u64
    }

    /// Frames in nobody's stock.
    pub fn audit_free_frames(&self) -> u64 {
        self.shared().frames.free_count()
    }

    /// Threads that are ready on this CPU.
    pub fn audit_ready(&self) -> u64 {
        self.ready.count()
    }

    /// Objects that exist.
    pub fn audit_objects_alive(&self) -> u64 {
        self.shared().objects_alive.load(Ordering::Relaxed)
    }

    /// How many owners an object says that it has.
    pub fn audit_owners(&self, name: u64) -> u32 {
        self.at(Name::<Any>::from_bits(name))
            .header
            .owners
            .load(Ordering::Relaxed)
    }

    /// Frames charged to all quotas.
    pub fn audit_frames_charged(&self) -> u64 {
        let mut sum = 0;
        self.each_quota(&mut |quota| sum += quota.used(Resource::Frames));
        sum
    }

    fn each_quota(&self, each: &mut dyn FnMut(&Quota)) {
        let root = self.shared().init.quota_name();
        let mut at = root;
        loop {
            let quota = self.at(at);
            each(quota);
            if let Some(child) = quota.children.first() {
                at = child;
                continue;
            }
            loop {
                if at == root {
                    return;
                }
                let parent = self.at(at).parent.get();
                if let Some(next) = self.next_in(&self.at(parent).children, at) {
                    at = next;
                    break;
                }
                at = parent;
            }
        }
    }

    fn each_process(&self, each: &mut dyn FnMut(Name<Process>, &Process)) {
        self.each_quota(&mut |quota| {
            let mut next = quota.processes.first();
            while let Some(name) = next {
                each(name, self.at(name));
                next = self.next_in(&quota.processes, name);
            }
        });
    }

    /// Checks this CPU's run queues and timers.
    pub fn audit_queues(&self) -> Result<(), Violation> {
        let mut count = 0;
        for priority in 0..PRIORITIES as u32 {
            let list = self.ready.list(priority);
            if self.ready.has_at(priority) == list.is_empty() {
                return Err("the word of occupied priorities is wrong");
            }
            let mut next = list.first();
            while let Some(name) = next {
                let thread = self.at(name);
                if !thread.is(ThreadState::Ready) || thread.priority.get() != priority {
                    return Err("a thread is in a run queue where it should not be");
                }
                if thread.header.home.load(Ordering::Relaxed) as usize != self.cpu() {
                    return Err("a thread is in the run queue of another CPU");
                }
                count += 1;
                next = self.next_in(list, name);
            }
        }
        if count != self.ready.count() {
            return Err("the count of ready threads is wrong");
        }
        self.audit_timers()
    }

    /// Checks that the heap is one: walks it depth first without a stack, by its backward links.
    fn audit_timers(&self) -> Result<(), Violation> {
        let root = self.timers.get();
        let mut at = root;
        let mut steps = 0u32;
        while at != 0 {
            steps += 1;
            if steps > 100_000 {
                return Err("the timer heap has a cycle");
            }
            let record = &self.at(Name::<Caller>::from_bits(at)).call;
            if record.timer_cpu.get() != self.cpu() as u64 + 1 {
                return Err("a record in the timer heap does not know it");
            }
            let child = record.timer_child.get();
            if child != 0 {
                let below = &self.at(Name::<Caller>::from_bits(child)).call;
                if below.deadline.get() < record.deadline.get() {
                    return Err("the timer heap is not one");
                }
                if below.timer_previous.get() != at {
                    return Err("a backward link of the timer heap is wrong");
                }
                at = child;
                continue;
            }
            at = self.after_in_heap(root, at);
        }
        Ok(())
    }

    fn after_in_heap(&self, root: u64, from: u64) -> u64 {
        let mut at = from;
        while at != root {
            let record = &self.at(Name::<Caller>::from_bits(at)).call;
            if record.timer_next.get() != 0 {
                return record.timer_next.get();
            }
            // Back to the first sibling, then up.
            let mut first = at;
            loop {
                let previous = self
                    .at(Name::<Caller>::from_bits(first))
                    .call
                    .timer_previous
                    .get();
                let above = &self.at(Name::<Caller>::from_bits(previous)).call;
                let is_parent = above.timer_child.get() == first;
                first = previous;
                if is_parent {
                    break;
                }
            }
            at = first;
        }
        0
    }

    /// Walks everything that processes have: `owner` is told of every counted owner of an object, `wrong` of what is wrong.
    pub fn audit_objects(&self, owner: &mut dyn FnMut(u64), wrong: &mut dyn FnMut(Violation)) {
        let record = &self.shared().init;
        for held in record.held() {
            count(held, owner);
        }
        self.audit_capsule(self.at(record.capsule_name()), owner);
        self.each_quota(&mut |quota| {
            for resource in Resource::ALL {
                if quota.used(resource) > quota.limit(resource) {
                    wrong("a quota is overdrawn");
                }
            }
        });
        let mut threads = 0;
        self.each_process(&mut |name, process| {
            threads += u64::from(process.thread_count.get());
            self.audit_process(name, process, owner, wrong);
        });
        let mut charged = 0;
        self.each_quota(&mut |quota| charged += quota.used(Resource::Threads));
        if threads != charged {
            wrong("threads are not charged as they are");
        }
    }

    fn audit_process(
        &self,
        name: Name<Process>,
        process: &Process,
        owner: &mut dyn FnMut(u64),
        wrong: &mut dyn FnMut(Violation),
    ) {
        let connection = process.fault_connection.get();
        if connection.is_some() {
            count(fault_handle(connection), owner);
        }
        let mut free = 0;
        for index in 1..process.slots_made.get() {
            let slot = self.slot(process, index as usize);
            let bits = slot.meta.get();
            match Kind::from_number(meta::kind(bits)) {
                None => free += 1,
                Some(Kind::Reply) => self.audit_reply(process, index, slot.object.get(), wrong),
                Some(kind) => {
                    let held = Held {
                        name: Name::from_bits(slot.object.get()),
                        kind,
                        rights: meta::rights(bits),
                    };
                    count(held, owner);
                    if kind == Kind::Call {
                        self.audit_transfers(held.name.cast(), owner);
                    }
                    if kind == Kind::Endpoint {
                        self.audit_endpoint(self.at(held.name.cast()), wrong);
                    }
                }
            }
        }
        if free != process.free_slots.get() {
            wrong("free handle slots are not counted as they are");
        }
        let mut count_of_threads = 0;
        let mut next = process.threads.first();
        while let Some(thread_name) = next {
            let thread = self.at(thread_name);
            count_of_threads += 1;
            if thread.process.get() != name {
                wrong("a thread is in another process's list");
            }
            self.audit_transfers(thread_name.cast(), owner);
            for place in thread.arguments.iter().chain(&thread.results) {
                count_place(place, owner);
            }
            self.audit_thread(thread_name, thread, wrong);
            next = self.next_in(&process.threads, thread_name);
        }
        if count_of_threads != process.thread_count.get() {
            wrong("threads are not counted as they are");
        }
    }

    fn audit_transfers(&self, name: Name<Caller>, owner: &mut dyn FnMut(u64)) {
        for place in &self.at(name).call.transfers {
            count_place(place, owner);
        }
    }

    fn audit_reply(
        &self,
        process: &Process,
        index: u32,
        caller: u64,
        wrong: &mut dyn FnMut(Violation),
    ) {
        if caller == 0 {
            return;
        }
        let record = &self.at(Name::<Caller>::from_bits(caller)).call;
        if record.state() != CallState::Received || record.reply_slot.get() != index {
            wrong("a Reply names a call that was not received through it");
        }
        if record.receiver.get().bits() != process.header.name.get() {
            wrong("a Reply is in the wrong process");
        }
    }

    fn audit_thread(&self, name: Name<Thread>, thread: &Thread, wrong: &mut dyn FnMut(Violation)) {
        let is_calling = matches!(
            thread.call.state(),
            CallState::Queued | CallState::Received | CallState::InTransit | CallState::Ending
        );
        let should_call = matches!(thread.state(), ThreadState::Calling | ThreadState::Faulted);
        if is_calling != should_call {
            wrong("a thread's state and its call's do not agree");
        }
        if thread.header.name.get() != name.bits() {
            wrong("a thread's name is not its own");
        }
    }

    fn audit_endpoint(&self, endpoint: &Endpoint, wrong: &mut dyn FnMut(Violation)) {
        let mut queued = 0;
        for (priority, list) in endpoint.calls.iter().enumerate() {
            let is_marked = endpoint.call_priorities.get() >> priority & 1 != 0;
            if is_marked == list.is_empty() {
                wrong("an endpoint's word of priorities is wrong");
            }
            let mut next = list.first();
            while let Some(call) = next {
                queued += 1;
                if self.at(call).call.state() != CallState::Queued {
                    wrong("a call in a queue does not know it");
                }
                next = self.next_in(list, call);
            }
        }
        if queued != endpoint.queued.get() {
            wrong("queued calls are not counted as they are");
        }
        let is_pending = endpoint.pending.get() & pending::CALLED != 0;
        if is_pending != (queued != 0) {
            wrong("an endpoint does not know whether calls are queued");
        }
        if endpoint.pending.get() != 0 && !endpoint.receivers.is_empty() {
            wrong("a receiver waits although something is pending");
        }
    }

    /// Tells of the handles in a capsule.
    pub(crate) fn audit_capsule(&self, capsule: &Capsule, owner: &mut dyn FnMut(u64)) {
        for index in 0..u64::from(capsule.slot_count.get()) {
            if let Some(place) = self.capsule_slot(capsule.slots.get(), index) {
                count_place(place, owner);
            }
        }
    }
}

fn count_place(place: &Reference, owner: &mut dyn FnMut(u64)) {
    if let Some(held) = place.get() {
        count(held, owner);
    }
}

fn count(held: Held, owner: &mut dyn FnMut(u64)) {
    if counts_as_owner(held.kind, held.rights) {
        owner(held.name.bits());
    }
}
