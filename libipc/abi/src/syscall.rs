//! The operations, with their arguments and results.
//!
//! In each description: `a` is the low half of `rdi`, `b` its high half, `c` the high half of `rax`, `s` is `rsi`, `w0`–`w7`
//! are the message words; `→` gives results: `r0` in `rdi`, `r1` in `rsi`, words as named. Rights are those that the handle needs.
//! Every operation checks handles in the order a, b, c, then arguments, and has no effect before the last check passed.
//! "Charged" means: to the quota of the calling process, or of the process named.

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// A system call.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Operation {
            $($(#[$doc])* $name = $number,)*
        }

        impl Operation {
            /// The operation with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Every operation, in order of its number.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

operations! {
    /// Does nothing. → `Ok`.
    Null = 0,
    /// Calls and waits for the reply. a: Connection `CALL`; b: Reply on whose behalf, or 0; s: deadline (not `NEVER`).
    Call = 1,
    /// Answers. b: Reply. Never blocks.
    Reply = 2,
    /// Waits for the next thing. a: Endpoint `RECEIVE`; s: deadline or `NEVER`. → a wake.
    Receive = 3,
    /// `Reply` then `Receive`. a: Endpoint `RECEIVE`; b: Reply; s: deadline or `NEVER`.
    ReplyReceive = 4,
    /// Starts a Call. a: Connection `CALL`; b: Reply on whose behalf, or 0; c: Call; s: deadline. Bytes past 64, and the transfer area, are in the Call's page. `Busy` while it is under way or its end was not taken.
    CallStart = 5,
    /// Takes the end of a Call without waiting. c: Call. → as a `Completed` wake, or `WouldBlock`.
    CallFinish = 6,
    /// Cancels a Call: its end is then queued at its endpoint like any other. c: Call.
    CallCancel = 7,
    /// Rings a Connection. a: Connection `RING`.
    Ring = 8,
    /// Lets others of the same priority run.
    Yield = 9,

    /// Closes a handle. a: any.
    HandleClose = 16,
    /// Copies a handle. a: any `DUPLICATE`; w0: rights (cut to its own). → r0: the copy.
    HandleDuplicate = 17,
    /// Says what a handle is. a: any. → r0: number of the `ObjectType`; r1: rights; w0: a number that is the same for handles of the same object.
    HandleInfo = 18,

    /// Makes a process. a: Quota `MANAGE`, under which it lives and is charged; b: Connection `CALL` for its faults, copied into the process, or 0; w0: highest priority its threads may have. → r0: Process, all rights.
    ProcessCreate = 24,
    /// Maps memory. a: Process `MAP`; b: Memory `MAP` and the rights of the protection; s: `Protection` bits; w0: address, w1: offset in the memory, w2: length; all page-aligned. Page tables are charged to the process.
    ProcessMap = 25,
    /// Unmaps a range; pages that are not mapped in it are skipped. a: Process `MAP`; w0: address; w1: length.
    ProcessUnmap = 26,
    /// Changes protection of a mapped range, never to more than the mapping's handle allowed. a: Process `MAP`; s: `Protection`; w0: address; w1: length.
    ProcessProtect = 27,
    /// Puts a handle into a process's table. a: Process `MANAGE`; b: any `TRANSFER` (and `DUPLICATE` for a copy); s: `TransferMode`; w0: rights. → r0: its number there.
    ProcessGrant = 28,
    /// Ends a process. a: Process `MANAGE`; w0: code. Returns at once; the rest goes in slices.
    ProcessKill = 29,
    /// Ends the calling process. w0: exit status.
    ProcessExit = 30,
    /// Moves a process with all its threads to another CPU. a: Process `MANAGE`; w0: CPU.
    ProcessMove = 31,
    /// Reads figures. a: Process `INSPECT`. → r0: state (bits 0–7), cause (8–15), CPU (16–23); r1: code; w0: CPU time in ns, w1: frames charged, w2: handles, w3: threads, w4: page faults, w5: switches to it, w6: bytes mapped, w7: a number that is the same for handles of the same object.
    ProcessInfo = 32,
    /// Opens a thread by number. a: Process `INSPECT | MANAGE`; w0: number. → r0: Thread.
    ProcessThread = 33,
    /// Reads memory of a process into the caller's receive page. a: Process `READ`; w0: address; w1: length (≤ 4096). → r0: bytes read (up to the first page that is not present).
    ProcessRead = 34,
    /// Writes memory of a process from the caller's send page, also where it is mapped read-only privately. a: Process `WRITE`; w0: address; w1: length. → r0: bytes written.
    ProcessWrite = 35,

    /// Limits the CPU time of a process, of what it makes, and of servers while they answer it. a: Process `OWN`; w0: nanoseconds in each period; w1: the period in nanoseconds; both 0: no limit. Refused (`NoRights`) to a caller that is limited itself.
    ProcessBudget = 36,

    /// Makes a thread, not yet started. a: Process `MANAGE`; w0: entry, w1: stack pointer, w2: `rdi` at start, w3: `rsi` at start, w4: address for its send page and, after it, its receive page; w5: priority; w6: fs base. → r0: Thread; r1: its number in the process.
    ThreadCreate = 40,
    /// Starts a thread. a: Thread `MANAGE`.
    ThreadStart = 41,
    /// Stops a thread before its next instruction in user space; a call it is in goes on. a: Thread `MANAGE`.
    ThreadSuspend = 42,
    /// Lets a suspended thread go on. a: Thread `MANAGE`.
    ThreadResume = 43,
    /// Sets the priority, at most the process's highest. a: Thread `MANAGE`; w0: priority.
    ThreadPriority = 44,
    /// Writes the registers of a thread that does not run (suspended, faulted, created) to the caller's receive page. a: Thread `READ`.
    ThreadRegisters = 45,
    /// Sets them from the caller's send page (flags and segments are made safe). a: Thread `WRITE`.
    ThreadSetRegisters = 46,
    /// Ends the calling thread.
    ThreadExit = 47,
    /// Reads figures. a: Thread `INSPECT`. → r0: state (bits 0–7), priority (8–15); r1: since when, in ns; w0: CPU time in ns; w1: a number for the object it waits on, 0 if none; w2: number in the process.
    ThreadInfo = 48,

    /// Makes an endpoint. a: Quota `MANAGE` that is charged, or 0 for the caller's own (so for all that says "charged to a"). → r0: Endpoint, all rights.
    EndpointCreate = 56,
    /// Makes a Connection. a: Endpoint `MINT`; b: Quota `MANAGE` that is charged, or 0; w0: badge. → r0: Connection with `REVOKE | DUPLICATE | TRANSFER | INSPECT`; r1: Connection with `Rights::CLIENT`.
    EndpointMint = 57,
    /// Revokes a Connection, all copies at once: calls queued through it end `NotDelivered(Revoked)`; no `Closed` follows. a: Connection `REVOKE`.
    ConnectionRevoke = 58,
    /// Reads figures. a: Endpoint `INSPECT`. → r0: calls queued; r1: incarnation (how many receivers it has had); w0: 1 if a thread waits in `receive`; w1: deadline-free age in ns of the oldest queued call.
    EndpointInfo = 59,

    /// Makes a Call, with its message page mapped in the calling process. a: Endpoint `RECEIVE`, where its end is reported; w0: cookie; w1: page-aligned address. → r0: Call, all rights.
    CallCreate = 64,

    /// Copies between a lease of a received call and memory. a: Memory (`WRITE` to copy from the lease, `READ` to copy to it), or 0 for the thread's message page (the receive page to copy to, the send page to copy from); b: Reply of the call; s: number of the lease; w0: `LeaseDirection`; w1: offset in the lease, w2: offset in the memory or page, w3: length. → r0: bytes copied. `InvalidState` when the caller does not wait any more.
    LeaseCopy = 65,

    /// Makes a notification, charged to a. → r0: Notification, all rights.
    NotificationCreate = 72,
    /// Sets bits. a: Notification `SIGNAL`; w0: bits.
    NotificationSignal = 73,
    /// Waits until one of the bits is set, takes those. a: Notification `WAIT`; s: deadline or `NEVER`; w0: bits. → r1: bits taken.
    NotificationWait = 74,
    /// Takes bits without waiting. a: Notification `WAIT`; w0: bits. → r1: bits taken, maybe 0.
    NotificationPoll = 75,
    /// Binds it to an endpoint: its bits then wake `receive` there. a: Notification `WAIT`; b: Endpoint `RECEIVE`; w0: cookie.
    NotificationBind = 76,

    /// Makes memory, charged to a. w0: length in bytes, page-aligned; w1: `MemoryKind`. Contiguous memory is charged and taken at once, anonymous memory when it is first touched. → r0: Memory, all rights.
    MemoryCreate = 80,
    /// Changes the length. a: Memory `MANAGE`; w0: length. Shrinking unmaps what is cut off, everywhere.
    MemoryResize = 81,
    /// Reads figures. a: Memory `INSPECT`. → w0: length; w1: frames present; w2: `MemoryKind`; w3: mappings.
    MemoryInfo = 82,

    /// Makes a capsule, charged to a. w0: bytes of memory, page-aligned; w1: handle slots (≤ 256). → r0: Capsule, all rights.
    CapsuleCreate = 88,
    /// Gives its memory. a: Capsule `READ`. → r0: Memory.
    CapsuleMemory = 89,
    /// Keeps a copy of a handle in a slot. a: Capsule `WRITE`; b: any `TRANSFER | DUPLICATE`; w0: slot. `Busy` if the slot is taken.
    CapsuleKeep = 90,
    /// Gives a copy of the handle in a slot, which keeps it. a: Capsule `READ`; w0: slot. → r0: handle. `NotFound` if empty.
    CapsuleTake = 91,
    /// Empties a slot. a: Capsule `WRITE`; w0: slot.
    CapsuleClear = 92,

    /// Binds it to a bit of a notification. a: Interrupt `MANAGE`; b: Notification `SIGNAL`; w0: bit number.
    InterruptBind = 96,
    /// Unmasks a line after it was served. a: Interrupt `SIGNAL`.
    InterruptAcknowledge = 97,

    /// Lets the device reach memory. a: IoSpace `MAP`; b: Memory `MAP` (and `READ`/`WRITE` as asked); s: `Protection`; w0: offset; w1: length. Without an IOMMU only contiguous memory. → r0: device address.
    IoSpaceMap = 104,
    /// Ends that; the frames stay withheld until the device can't write to them. a: IoSpace `MAP`; w0: device address; w1: length.
    IoSpaceUnmap = 105,
    /// Says that the device was stopped: everything withheld is freed. a: IoSpace `REVOKE`.
    IoSpaceRelease = 106,

    /// Lets the calling process use the ports. a: IoPorts `MAP`.
    IoPortsEnable = 112,

    /// Splits off a quota. a: Quota `MANAGE`; w0: frames, w1: handles, w2: threads (limits, moved to the child). → r0: Quota, all rights.
    QuotaSplit = 120,
    /// Reads figures. a: Quota `INSPECT`. → w0–w2: limits (frames, handles, threads); w3–w5: used.
    QuotaRead = 121,
    /// Closes a quota: processes under it die, limits return to its parent when all is freed. When the last handle with `OWN` goes, it is closed too, but for its processes. a: Quota `OWN`.
    QuotaClose = 122,

    /// Makes an Interrupt. a: Hardware `MANAGE`; w0: `InterruptKind`; w1: global system interrupt (for a line); w2: bit 0 level-triggered, bit 1 active low. → r0: Interrupt; w0: message address, w1: message data (for a message).
    HardwareInterrupt = 128,
    /// Makes device memory. a: Hardware `MANAGE`; w0: physical address; w1: length; w2: 0 uncached, 1 write-combining, 2 cached (only outside of RAM). RAM is refused. → r0: Memory.
    HardwareMemory = 129,
    /// Makes an IoSpace. a: Hardware `MANAGE`; w0: PCI address (bus << 8 | device << 3 | function). → r0: IoSpace, all rights.
    HardwareIoSpace = 130,
    /// Makes IoPorts. a: Hardware `MANAGE`; w0: first port; w1: count. → r0: IoPorts.
    HardwarePorts = 131,
    /// Writes bytes of the send page to the debug UART, while no driver has its ports. a: Hardware `MANAGE`; w0: length.
    HardwareLog = 132,
    /// Reads figures of a CPU. a: Hardware `INSPECT`; w0: CPU. → r0: threads ready; w0: idle ns, w1: address-space switches, w2: system calls, w3: interrupts, w4: free frames of the machine, w5: cross-CPU posts, w6: longest stay in the kernel in ns, w7: kernel objects alive.
    HardwareCpu = 133,
    /// Signals a bit of a notification when a CPU becomes idle: bit = CPU. a: Hardware `INSPECT`; b: Notification `SIGNAL`.
    HardwareIdle = 134,
}

/// Arguments of `ProcessMap`, `ProcessProtect` and `IoSpaceMap`: what may be done through a mapping.
pub mod protection {
    /// Reading.
    pub const READ: u64 = 1;
    /// Writing; never together with [`EXECUTE`].
    pub const WRITE: u64 = 2;
    /// Executing.
    pub const EXECUTE: u64 = 4;
    /// With `ProcessMap`: the mapping gets its own copy of each page that is written through it, charged to the process; until then it shows the memory's. Needs only `READ` on the memory, which is not a device's.
    pub const PRIVATE: u64 = 8;
}

/// What memory is made of: `w1` of `MemoryCreate`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u64)]
pub enum MemoryKind {
    /// Zeroed frames, filled in when first touched.
    Anonymous = 0,
    /// Zeroed frames that follow each other, for DMA.
    Contiguous = 1,
    /// A device's registers.
    Device = 2,
    /// Frames that the boot loader filled.
    Boot = 3,
}

/// Which way `LeaseCopy` copies: its `w0`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u64)]
pub enum LeaseDirection {
    /// From the lease, which allows `READ`.
    FromLease = 0,
    /// To the lease, which allows `WRITE`.
    ToLease = 1,
}

/// How an interrupt arrives: `w0` of `HardwareInterrupt`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u64)]
pub enum InterruptKind {
    /// A line of an I/O APIC.
    Line = 0,
    /// A message (MSI or MSI-X).
    Message = 1,
}
