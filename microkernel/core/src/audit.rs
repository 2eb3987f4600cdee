//! Looking into the kernel's books, for tests: everything that is counted in one place can be counted again in another.

use core::sync::atomic::Ordering;

use abi::records::ThreadState;

use crate::handle::{Held, Reference, meta};
use crate::machine::Access;
use crate::mem::fill::Filled;
use crate::object::{
    Any, CallState, Caller, Capsule, Endpoint, Kind, Name, PRIORITIES, Process, Quota, Resource, Thread,
    counts_as_owner, pending,
};
use crate::syscall::fault_handle;
use crate::{Kernel, Machine};

/// What a walk through the books comes across. The same caller or capsule may come more than once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Visit {
    /// A counted owner of this object.
    Owner(u64),
    /// A thread or Call, whose message may hold handles.
    Caller(u64),
    /// A capsule, which may hold handles.
    Capsule(u64),
}

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

    /// Frames of the current thread's send page and receive page.
    pub fn audit_pages(&self) -> Option<[u64; 2]> {
        let name = self.current();
        name.is_some().then(|| {
            let record = &self.at(name).call;
            [record.send_page.get(), record.receive_page.get()]
        })
    }

    /// Whether the current thread's touch of an address would find a page.
    pub fn audit_fill(&self, address: u64, access: Access) -> bool {
        let process = self.at(self.at(self.current()).process.get());
        self.fill_page(process, address, access) == Filled::Present
    }

    /// Threads that are ready on this CPU.
    pub fn audit_ready(&self) -> u64 {
        self.ready.count()
    }

    /// Whether something is left to be taken apart, or posted and not served.
    pub fn audit_has_work(&self) -> bool {
        self.has_work() || !self.shared().cpu(self.cpu()).inbox.is_empty()
    }

    /// Objects that exist.
    pub fn audit_objects_alive(&self) -> u64 {
        self.shared().objects_alive.load(Ordering::Relaxed)
    }

    /// How many owners an object says that it has.
    pub fn audit_owners(&self, name: u64) -> u32 {
        self.at(Name::<Any>::from_bits(name)).header.owners.load(Ordering::Relaxed)
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
                if thread.header.home() != self.cpu() {
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
                let previous = self.at(Name::<Caller>::from_bits(first)).call.timer_previous.get();
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

    /// Walks everything that processes have: `visit` is told of what it comes across, `wrong` of what is wrong.
    pub fn audit_objects(&self, visit: &mut dyn FnMut(Visit), wrong: &mut dyn FnMut(Violation)) {
        let record = &self.shared().init;
        for held in record.held() {
            count(held, visit);
        }
        visit(Visit::Capsule(record.capsule_name().bits()));
        for cpu in 0..self.shared().cpu_count() {
            self.audit_inbox(cpu, visit);
        }
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
            self.audit_process(name, process, visit, wrong);
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
        visit: &mut dyn FnMut(Visit),
        wrong: &mut dyn FnMut(Violation),
    ) {
        let connection = process.fault_connection.get();
        if connection.is_some() {
            count(fault_handle(connection), visit);
        }
        let mut free = 0;
        for index in 1..process.slots_made.get() {
            let slot = self.slot(process, index as usize);
            let bits = slot.meta.get();
            match Kind::from_number(meta::kind(bits)) {
                None => free += 1,
                Some(Kind::Reply) => {
                    visit(Visit::Caller(slot.object.get()));
                    self.audit_reply(process, index, slot.object.get(), wrong);
                }
                Some(kind) => {
                    let held = Held { name: Name::from_bits(slot.object.get()), kind, rights: meta::rights(bits) };
                    count(held, visit);
                    match kind {
                        Kind::Call => visit(Visit::Caller(held.name.bits())),
                        Kind::Capsule => visit(Visit::Capsule(held.name.bits())),
                        Kind::Endpoint => {
                            self.audit_endpoint(self.at(held.name.cast()), visit, wrong);
                        }
                        _ => {}
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
            visit(Visit::Caller(thread_name.bits()));
            for place in thread.arguments.iter().chain(&thread.results) {
                count_place(place, visit);
            }
            self.audit_thread(thread_name, thread, wrong);
            next = self.next_in(&process.threads, thread_name);
        }
        if count_of_threads != process.thread_count.get() {
            wrong("threads are not counted as they are");
        }
    }

    /// Tells of the handles in a caller's message.
    pub fn audit_caller(&self, name: u64, visit: &mut dyn FnMut(Visit)) {
        if name != 0 {
            for place in &self.at(Name::<Caller>::from_bits(name)).call.transfers {
                count_place(place, visit);
            }
        }
    }

    fn audit_inbox(&self, cpu: usize, visit: &mut dyn FnMut(Visit)) {
        let mut at = self.shared().cpu(cpu).inbox.newest();
        while at != 0 {
            let header = &self.at(Name::<Any>::from_bits(at)).header;
            let kind = header.kind.get();
            if kind == Kind::Call as u32 || kind == Kind::Thread as u32 {
                visit(Visit::Caller(at));
            }
            at = header.post_link.load(Ordering::Relaxed);
        }
    }

    fn audit_reply(&self, process: &Process, index: u32, caller: u64, wrong: &mut dyn FnMut(Violation)) {
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

    fn audit_endpoint(&self, endpoint: &Endpoint, visit: &mut dyn FnMut(Visit), wrong: &mut dyn FnMut(Violation)) {
        let mut queued = 0;
        for (priority, list) in endpoint.calls.iter().enumerate() {
            let is_marked = endpoint.call_priorities.get() >> priority & 1 != 0;
            if is_marked == list.is_empty() {
                wrong("an endpoint's word of priorities is wrong");
            }
            let mut next = list.first();
            while let Some(call) = next {
                queued += 1;
                visit(Visit::Caller(call.bits()));
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
        let is_served = endpoint
            .receivers
            .first()
            .map(|receiver| self.at(receiver.cast::<Thread>()).process.get())
            .is_some_and(|process| self.at(process).is_alive());
        if endpoint.pending.get() != 0 && is_served {
            wrong("a receiver waits although something is pending");
        }
    }

    /// Tells of the handles in a capsule.
    pub fn audit_capsule(&self, name: u64, visit: &mut dyn FnMut(Visit)) {
        let capsule = self.at(Name::<Capsule>::from_bits(name));
        for index in 0..u64::from(capsule.slot_count.get()) {
            if let Some(place) = self.capsule_slot(capsule.slots.get(), index) {
                count_place(place, visit);
            }
        }
    }
}

fn count_place(place: &Reference, visit: &mut dyn FnMut(Visit)) {
    if let Some(held) = place.get() {
        count(held, visit);
    }
}

fn count(held: Held, visit: &mut dyn FnMut(Visit)) {
    if counts_as_owner(held.kind, held.rights) {
        visit(Visit::Owner(held.name.bits()));
    }
}
