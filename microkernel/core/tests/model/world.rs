//! Kernels, the threads that tests play, and the dice.

use std::rc::Rc;

use abi::image::SEGMENT_EXECUTABLE;
use abi::{Handle, Operation, Outcome};
use kernel_core::machine::{BootFacts, Frame, FrameRange, InitSegment, Resume, UserContext};
use kernel_core::{FastPath, Kernel, Shared};

use super::machine::{Bus, ModelMachine};

/// Frames of the model's RAM.
const FRAMES: u64 = 2560;
const BOOT_INFO: Frame = Frame::new(1);
const TIME_PAGE: Frame = Frame::new(2);
const IMAGE: FrameRange = FrameRange { first: Frame::new(4), count: 2 };
const USABLE: FrameRange = FrameRange { first: Frame::new(16), count: FRAMES - 16 };

/// A system call, as registers.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub operation: Operation,
    pub a: Handle,
    pub b: Handle,
    pub c: Handle,
    pub argument: u64,
    pub words: [u64; 8],
    pub length: usize,
    pub handles: usize,
    /// Descriptors of handles, for the transfer area.
    pub transfers: [u64; 4],
    /// Descriptors of leases, and how many there are.
    pub leases: ([[u64; 3]; 4], usize),
    /// What every word of the send page before that is set to, for long messages.
    pub filling: u64,
}

/// Word of the transfer area's first descriptor.
const TRANSFERS: usize = abi::message::TRANSFER_OFFSET / 8;

/// A descriptor of a handle to be sent.
pub fn sent(handle: Handle, rights: abi::Rights, mode: abi::message::TransferMode) -> u64 {
    u64::from(handle.0) | u64::from(rights.bits()) << 32 | (mode as u64) << 48
}

impl Request {
    pub fn new(operation: Operation) -> Self {
        Self {
            operation,
            a: Handle::NONE,
            b: Handle::NONE,
            c: Handle::NONE,
            argument: 0,
            words: [0; 8],
            length: 0,
            handles: 0,
            transfers: [0; 4],
            leases: ([[0; 3]; 4], 0),
            filling: 0,
        }
    }
    pub fn a(self, a: Handle) -> Self {
        Self { a, ..self }
    }
    pub fn b(self, b: Handle) -> Self {
        Self { b, ..self }
    }
    pub fn c(self, c: Handle) -> Self {
        Self { c, ..self }
    }
    pub fn argument(self, argument: u64) -> Self {
        Self { argument, ..self }
    }
    pub fn words(mut self, words: &[u64]) -> Self {
        self.words[..words.len()].copy_from_slice(words);
        self
    }
    pub fn with_handles(mut self, descriptors: &[u64]) -> Self {
        self.handles = descriptors.len();
        self.transfers[..descriptors.len()].copy_from_slice(descriptors);
        self
    }
    pub fn with_lease(mut self, memory: Handle, rights: abi::Rights, offset: u64, length: u64) -> Self {
        let (leases, count) = &mut self.leases;
        leases[*count] = [u64::from(memory.0) | u64::from(rights.bits()) << 32, offset, length];
        *count += 1;
        self
    }
    pub fn filling(self, filling: u64) -> Self {
        Self { filling, ..self }
    }
    pub fn message(self, length: usize, handles: usize) -> Self {
        Self { length, handles, ..self }
    }
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    pub info: abi::MessageInfo,
    pub upper: u32,
    pub handles: u64,
    pub argument: u64,
    pub words: [u64; 8],
    /// Descriptors in the receive page.
    pub transfers: [u64; 4],
    /// Descriptors of leases there.
    pub leases: [[u64; 3]; 4],
    /// First and last word of a long message.
    pub ends: [u64; 2],
}

impl Reply {
    pub fn outcome(&self) -> Outcome {
        Outcome::from_number(self.info.code()).expect("the kernel gives known outcomes")
    }
    pub fn wake(&self) -> abi::WakeKind {
        assert_eq!(self.outcome(), Outcome::Ok);
        abi::WakeKind::from_number(self.info.flags()).expect("a known wake")
    }
    pub fn reply_handle(&self) -> Handle {
        Handle(self.argument as u32)
    }
    pub fn result(&self) -> Handle {
        Handle(self.handles as u32)
    }
    pub fn second(&self) -> Handle {
        Handle(self.argument as u32)
    }
}

/// A thread as its script sees it: its number is its entry address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Actor(pub usize);

enum Play {
    /// In user mode, without orders.
    Resting,
    /// In user mode, with a system call to make.
    Ordered(Box<Request>),
    /// In user mode, without orders, about to yield to those that have some.
    Nudged,
    /// In the system call that follows from that.
    Yielding,
    /// In a system call.
    Waiting,
}

struct Role {
    context: *const UserContext,
    play: Play,
    answer: Option<Reply>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CpuState {
    User(*const UserContext),
    Idle,
    Poll,
}

/// Steps between two countings of everything.
const FULL_CHECK_STEPS: u64 = 6;

/// How long init stays parked.
const PARKED: u64 = 1 << 40;

/// Where the first actor begins; others follow at this distance.
const ENTRY: u64 = 0x40_0000;
const ENTRY_STEP: u64 = 0x10;

/// Everything.
pub struct World {
    pub bus: Rc<Bus>,
    pub kernels: Vec<Kernel<ModelMachine>>,
    shared: *mut Shared,
    states: Vec<CpuState>,
    roles: Vec<Role>,
    dice: u64,
    pub frames_at_boot: u64,
    pub steps: u64,
    nudges: usize,
    traces: bool,
    pub checks: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        self.kernels.clear();
        // SAFETY: it came from `Box::into_raw`, and the kernels that referred to it are gone.
        unsafe { drop(Box::from_raw(self.shared)) };
    }
}

/// An image: one page of program.
const SEGMENT: InitSegment =
    InitSegment { address: ENTRY, memory_bytes: 4096, bytes: 64, first: IMAGE.first, flags: SEGMENT_EXECUTABLE };

impl World {
    pub fn new(cpus: usize, fast: FastPath, seed: u64) -> Self {
        let bus = Bus::new(cpus, FRAMES, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bus.words(IMAGE.first)[0].set(0x9090_9090_9090_9090);
        let shared = Box::into_raw(Box::new(Shared::new()));
        // SAFETY: it lives until the world is dropped, which drops the kernels first.
        let shared_reference: &'static Shared = unsafe { &*shared };
        let kernels: Vec<_> = (0..cpus)
            .map(|cpu| {
                let machine = ModelMachine { bus: bus.clone(), cpu };
                let kernel = Kernel::new(machine, cpu, shared_reference);
                kernel.set_fast_path(fast);
                kernel
            })
            .collect();
        let facts = BootFacts {
            usable: &[USABLE],
            protected: &[FrameRange { first: Frame::new(0), count: FRAMES }],
            cpu_count: cpus,
            image: IMAGE,
            init_entry: ENTRY,
            init_segments: &[SEGMENT],
            firmware: FrameRange::EMPTY,
            boot_info: BOOT_INFO,
            time_page: TIME_PAGE,
        };
        let mut world = Self {
            bus,
            kernels,
            shared,
            states: vec![CpuState::Idle; cpus],
            roles: Vec::new(),
            dice: seed.wrapping_mul(0xd134_2543_de82_ef95) | 1,
            frames_at_boot: 0,
            steps: 0,
            nudges: 0,
            traces: std::env::var_os("MODEL_TRACE").is_some(),
            checks: true,
        };
        let state = state_of(world.kernels[0].boot(&facts).expect("the model boots"));
        world.enter(0, state);
        for cpu in 1..cpus {
            let state = state_of(world.kernels[cpu].resume());
            world.enter(cpu, state);
        }
        world.frames_at_boot = world.frames_in_all();
        world
    }

    /// init's thread.
    pub const INIT: Actor = Actor(0);

    /// The entry address for a new actor's thread.
    pub fn new_actor(&mut self) -> (Actor, u64) {
        let number = self.roles.len().max(1);
        while self.roles.len() <= number {
            self.roles.push(Role { context: std::ptr::null(), play: Play::Resting, answer: None });
        }
        (Actor(number), ENTRY + number as u64 * ENTRY_STEP)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % sides.max(1)
    }

    fn enter(&mut self, cpu: usize, state: CpuState) {
        self.states[cpu] = state;
        let CpuState::User(pointer) = state else {
            return;
        };
        // SAFETY: the kernel just named it as the thread to run.
        let context = unsafe { &*pointer };
        let role = match self.roles.iter().position(|role| role.context == pointer) {
            Some(role) if context.rip.get() == ENTRY + role as u64 * ENTRY_STEP => role,
            _ => {
                let role = ((context.rip.get() - ENTRY) / ENTRY_STEP) as usize;
                while self.roles.len() <= role {
                    self.roles.push(Role { context: std::ptr::null(), play: Play::Resting, answer: None });
                }
                for other in &mut self.roles {
                    if other.context == pointer {
                        other.context = std::ptr::null();
                    }
                }
                self.roles[role].context = pointer;
                role
            }
        };
        if matches!(self.roles[role].play, Play::Yielding) {
            self.roles[role].play = Play::Resting;
        }
        if matches!(self.roles[role].play, Play::Waiting) {
            self.roles[role].play = Play::Resting;
            let page = self.kernels[cpu].audit_pages().map_or(0, |[_, page]| page);
            let page = self.bus.words(Frame::new(page));
            let length = abi::MessageInfo(context.info.get() as u32).length();
            self.roles[role].answer = Some(Reply {
                transfers: [0, 1, 2, 3].map(|index| page[TRANSFERS + index].get()),
                leases: [0, 3, 6, 9].map(|at| [0, 1, 2].map(|word| page[TRANSFERS + 4 + at + word].get())),
                ends: [page[0].get(), page[(length.clamp(8, 4096) - 8) / 8].get()],
                info: abi::MessageInfo(context.info.get() as u32),
                upper: (context.info.get() >> 32) as u32,
                handles: context.handles.get(),
                argument: context.argument.get(),
                words: context.words.each_ref().map(std::cell::Cell::get),
            });
        }
    }

    /// Has an actor make a system call when it is its turn.
    pub fn order(&mut self, actor: Actor, request: Request) {
        self.roles[actor.0].answer = None;
        // A yield that is under way ends before the order is carried out.
        self.roles[actor.0].play = Play::Ordered(Box::new(request));
        self.nudges = 0;
    }

    pub fn is_resting(&self, actor: Actor) -> bool {
        matches!(self.roles[actor.0].play, Play::Resting | Play::Nudged | Play::Yielding)
    }

    /// Takes what an actor's last call came to.
    pub fn answer(&mut self, actor: Actor) -> Option<Reply> {
        self.roles[actor.0].answer.take()
    }

    /// The role whose context a CPU runs.
    fn role_on(&self, cpu: usize) -> Option<usize> {
        match self.states[cpu] {
            CpuState::User(pointer) => self.roles.iter().position(|role| role.context == pointer),
            _ => None,
        }
    }

    /// Something that a CPU could do now.
    fn moves(&self) -> Vec<(usize, Move)> {
        let mut moves = Vec::new();
        for cpu in 0..self.kernels.len() {
            if self.bus.ipis[cpu].get() {
                moves.push((cpu, Move::Ipi));
            }
            if self.bus.timers[cpu].get() <= self.bus.now.get() {
                moves.push((cpu, Move::Timer));
            }
            if self.states[cpu] == CpuState::Poll {
                moves.push((cpu, Move::Resume));
            }
            if let Some(role) = self.role_on(cpu)
                && matches!(self.roles[role].play, Play::Ordered(_) | Play::Nudged)
            {
                moves.push((cpu, Move::Run(role)));
            }
        }
        moves
    }

    /// Lets one CPU do one thing. False if nothing is left to do but wait for the clock.
    pub fn step(&mut self) -> bool {
        let moves = self.moves();
        if moves.is_empty() {
            return false;
        }
        let (cpu, next) = moves[self.roll(moves.len() as u64) as usize];
        self.bus.now.set(self.bus.now.get() + 1);
        self.steps += 1;
        if self.traces {
            let plays: Vec<_> = self
                .roles
                .iter()
                .map(|role| match role.play {
                    Play::Resting => 'r',
                    Play::Ordered(_) => 'o',
                    Play::Nudged => 'n',
                    Play::Yielding => 'y',
                    Play::Waiting => 'w',
                })
                .collect();
            eprintln!("{} cpu {cpu} {next:?} {plays:?}", self.bus.now.get());
        }
        let state = match next {
            Move::Ipi => {
                self.nudges = 0;
                self.bus.ipis[cpu].set(false);
                state_of(self.kernels[cpu].ipi())
            }
            Move::Timer => {
                self.nudges = 0;
                self.bus.timers[cpu].set(u64::MAX);
                state_of(self.kernels[cpu].timer())
            }
            Move::Resume => state_of(self.kernels[cpu].resume()),
            Move::Run(role) => self.run(cpu, role),
        };
        self.enter(cpu, state);
        if self.checks {
            // The dear check comes often enough to name the culprit within a few steps.
            if self.steps.is_multiple_of(FULL_CHECK_STEPS) {
                self.check();
            } else {
                self.check_queues();
            }
        }
        true
    }

    fn run(&mut self, cpu: usize, role: usize) -> CpuState {
        let request = match &self.roles[role].play {
            Play::Ordered(request) => {
                let request = **request;
                self.nudges = 0;
                self.roles[role].play = Play::Waiting;
                request
            }
            _ => {
                self.roles[role].play = Play::Yielding;
                Request::new(Operation::Yield)
            }
        };
        // SAFETY: it is the context that this CPU runs.
        let context = unsafe { &*self.roles[role].context };
        let info = abi::MessageInfo::new(request.operation as u8, request.length)
            .with_handles(request.handles)
            .with_leases(request.leases.1);
        context.info.set(u64::from(info.0) | u64::from(request.c.0) << 32);
        context.handles.set(u64::from(request.a.0) | u64::from(request.b.0) << 32);
        context.argument.set(request.argument);
        for (place, word) in context.words.iter().zip(request.words) {
            place.set(word);
        }
        context.entered.set(UserContext::BY_SYSCALL);
        if let Some([page, _]) = self.kernels[cpu].audit_pages() {
            let page = self.bus.words(Frame::new(page));
            if request.length > 64 {
                page[..request.length.min(4096).div_ceil(8)].iter().for_each(|word| word.set(request.filling));
            }
            for (at, word) in request.leases.0.iter().flatten().take(3 * request.leases.1).enumerate() {
                page[TRANSFERS + 4 + at].set(*word);
            }
            if request.handles > 0 {
                for (index, transfer) in request.transfers.iter().enumerate() {
                    page[TRANSFERS + index].set(*transfer);
                }
            }
        }
        state_of(self.kernels[cpu].syscall())
    }

    /// A word of init's boot information.
    pub fn boot_info_word(&self, index: usize) -> u64 {
        self.bus.words(BOOT_INFO)[index].get()
    }

    fn cpu_of(&self, actor: Actor) -> usize {
        (0..self.kernels.len()).find(|&cpu| self.role_on(cpu) == Some(actor.0)).expect("the actor runs")
    }

    /// The entry that the page tables of the actor, which runs, have for an address.
    pub fn translate(&self, actor: Actor, address: u64) -> Option<u64> {
        let root = self.bus.active_roots[self.cpu_of(actor)].get();
        let mut table = Frame::new(root);
        for level in (0..4).rev() {
            let entry = self.bus.words(table)[(address >> (12 + 9 * level) & 0x1ff) as usize].get();
            if entry & 1 == 0 {
                return None;
            }
            if level == 0 {
                return Some(entry);
            }
            table = Frame::containing(entry);
        }
        None
    }

    /// The actor, which runs, touches an address; true if the page is there afterwards.
    pub fn touch(&mut self, actor: Actor, address: u64, access: kernel_core::machine::Access) -> bool {
        if self.translate(actor, address).is_none() {
            let cpu = self.cpu_of(actor);
            let state = state_of(self.kernels[cpu].page_fault(address, access, 0));
            self.enter(cpu, state);
            self.check();
        }
        self.runs(actor) && self.translate(actor, address).is_some()
    }

    /// Whether a mapping could fill in the page, without touching it.
    pub fn fills(&self, actor: Actor, address: u64, access: kernel_core::machine::Access) -> bool {
        self.kernels[self.cpu_of(actor)].audit_fill(address, access)
    }

    /// Raises a fault in the actor's thread, which must be running.
    pub fn fault(&mut self, actor: Actor, address: u64) {
        let cpu = (0..self.kernels.len()).find(|&cpu| self.role_on(cpu) == Some(actor.0)).expect("the actor runs");
        let state = state_of(self.kernels[cpu].page_fault(address, kernel_core::machine::Access::Write, 6));
        self.enter(cpu, state);
        self.check();
    }

    pub fn device_interrupt(&mut self, cpu: usize, vector: u8) {
        let state = state_of(self.kernels[cpu].interrupt(vector));
        self.enter(cpu, state);
        self.check();
    }

    /// Whether an actor's thread is what some CPU runs.
    pub fn runs(&self, actor: Actor) -> bool {
        (0..self.kernels.len()).any(|cpu| self.role_on(cpu) == Some(actor.0))
    }

    /// Steps until nothing is left to do but wait for the clock. Threads that only rest give way by yielding.
    pub fn settle(&mut self) {
        let mut budget = 20_000;
        loop {
            while self.step() {
                budget -= 1;
                assert!(budget > 0, "the world does not settle");
            }
            if !self.yield_for_others() {
                if !self.kernels.iter().any(|kernel| kernel.audit_has_work()) {
                    return;
                }
                self.advance(100_001);
            }
            budget -= 1;
            assert!(budget > 0, "the world does not settle");
        }
    }

    /// The same; and when nothing is left to do, resting threads give way, and then slices of work get their time.
    pub fn go(&mut self) -> bool {
        if self.step() || self.yield_for_others() {
            return true;
        }
        let has_work = self.kernels.iter().any(|kernel| kernel.audit_has_work());
        if has_work {
            self.advance(100_001);
        }
        has_work
    }

    /// If a thread with orders is ready behind one that rests, the resting one yields.
    pub fn yield_for_others(&mut self) -> bool {
        // A thread that has orders, or an answer to see, may be ready behind those that rest. A full round of yielding brings it up.
        let is_worth_it =
            self.roles.iter().any(|role| matches!(role.play, Play::Ordered(_) | Play::Waiting | Play::Yielding));
        if !is_worth_it || self.nudges > 2 * self.roles.len() {
            return false;
        }
        let mut moved = false;
        for cpu in 0..self.kernels.len() {
            if let Some(role) = self.role_on(cpu)
                && matches!(self.roles[role].play, Play::Resting)
                && self.kernels[cpu].audit_ready() > 0
            {
                self.roles[role].play = Play::Nudged;
                self.nudges += 1;
                moved = true;
            }
        }
        moved
    }

    /// Moves the clock on.
    pub fn advance(&mut self, nanoseconds: u64) {
        self.bus.now.set(self.bus.now.get() + nanoseconds);
    }

    /// init waits out of the way, so that others run on its CPU.
    pub fn park_init(&mut self, notification: Handle) {
        let deadline = self.bus.now.get() + PARKED;
        self.order(
            Self::INIT,
            Request::new(Operation::NotificationWait).a(notification).argument(deadline).words(&[1]),
        );
        while !self.waits(Self::INIT) {
            assert!(self.step());
        }
    }

    /// init comes back.
    pub fn wake_init(&mut self) {
        self.advance(PARKED);
        for _ in 0..20_000 {
            if self.answer(Self::INIT).is_some() {
                return;
            }
            assert!(self.step(), "init does not come back");
        }
        panic!("init does not come back");
    }

    pub fn waits(&self, actor: Actor) -> bool {
        matches!(self.roles[actor.0].play, Play::Waiting)
    }

    /// Makes a system call for an actor and steps until it has an answer.
    pub fn call(&mut self, actor: Actor, request: Request) -> Reply {
        self.order(actor, request);
        for _ in 0..20_000 {
            if let Some(answer) = self.answer(actor) {
                return answer;
            }
            if !self.step() && !self.yield_for_others() {
                if !self.kernels.iter().any(|kernel| kernel.audit_has_work()) {
                    break;
                }
                self.advance(100_001);
            }
        }
        panic!("{actor:?} got no answer to {request:?}");
    }

    /// The same, for a call that must succeed.
    pub fn must(&mut self, actor: Actor, request: Request) -> Reply {
        let reply = self.call(actor, request);
        assert_eq!(reply.outcome(), Outcome::Ok, "{request:?} of {actor:?}");
        reply
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Ipi,
    Timer,
    Resume,
    Run(usize),
}

fn state_of(resume: Resume<'_>) -> CpuState {
    match resume {
        Resume::User(context) => CpuState::User(context),
        Resume::Idle => CpuState::Idle,
        Resume::Poll => CpuState::Poll,
    }
}
