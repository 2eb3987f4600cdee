//! Segments and the task state: the descriptor table of a CPU, its interrupt stacks, and the ports that a process may use.

use core::mem::offset_of;

/// Kernel code.
pub const KERNEL_CODE: u16 = 0x08;
/// Kernel data; also where `STAR` says that user segments begin, so that SYSRET finds data at +8 and code at +16.
pub const KERNEL_DATA: u16 = 0x10;
/// User data, with the privilege level.
pub const USER_DATA: u16 = 0x18 | 3;
/// User code, with the privilege level.
pub const USER_CODE: u16 = 0x20 | 3;
const TASK_STATE: u16 = 0x28;

/// Ports that a processor has.
const PORTS: usize = 0x1_0000;

/// The interrupt stacks of the exceptions that trust nothing of the state they interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum InterruptStack {
    /// Non-maskable interrupt.
    Nmi = 1,
    /// Debug exception.
    Debug = 2,
    /// Double fault.
    DoubleFault = 3,
    /// Machine check.
    MachineCheck = 4,
}

impl InterruptStack {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nmi, Self::Debug, Self::DoubleFault, Self::MachineCheck];
}

/// The task state segment (Intel SDM 3A §8.7) with a bitmap of all ports, and the byte of ones that must follow it.
#[repr(C, packed(4))]
pub struct TaskState {
    reserved_0: u32,
    stacks: [u64; 3],
    reserved_1: u64,
    interrupt_stacks: [u64; 7],
    reserved_2: u64,
    reserved_3: u16,
    port_bitmap_offset: u16,
    port_bitmap: [u8; PORTS / 8],
    end: u8,
}

/// An offset behind the segment's limit: no port is allowed.
const NO_PORTS: u16 = u16::MAX;

/// The descriptor table and the task state of one CPU.
#[repr(C, align(16))]
pub struct Segments {
    descriptors: [u64; 7],
    task: TaskState,
}

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

impl Segments {
    /// Segments without stacks, not yet loaded.
    pub const fn new() -> Self {
        Self {
            descriptors: [
                0,
                0x00af_9b00_0000_ffff,
                0x00cf_9300_0000_ffff,
                0x00cf_f300_0000_ffff,
                0x00af_fb00_0000_ffff,
                0,
                0,
            ],
            task: TaskState {
                reserved_0: 0,
                stacks: [0; 3],
                reserved_1: 0,
                interrupt_stacks: [0; 7],
                reserved_2: 0,
                reserved_3: 0,
                port_bitmap_offset: NO_PORTS,
                port_bitmap: [0xff; PORTS / 8],
                end: 0xff,
            },
        }
    }

    /// Sets the stack that an interrupt of user mode starts on.
    pub fn set_kernel_stack(&mut self, top: u64) {
        self.task.stacks[0] = top;
    }

    /// Sets an interrupt stack.
    pub fn set_interrupt_stack(&mut self, stack: InterruptStack, top: u64) {
        self.task.interrupt_stacks[stack as usize - 1] = top;
    }

    /// Loads the table, the segments and the task register of this CPU.
    ///
    /// # Safety
    /// `self` stays where it is for ever, its stacks are set, and it is this CPU's alone. The GS base is lost.
    pub unsafe fn load(&mut self) {
        let base = (&raw const self.task) as u64;
        let limit = (size_of::<TaskState>() - 1) as u64;
        self.descriptors[5] = limit & 0xffff
            | (base & 0xff_ffff) << 16
            | 0x89 << 40
            | (limit >> 16 & 0xf) << 48
            | (base >> 24 & 0xff) << 56;
        self.descriptors[6] = base >> 32;
        let pointer =
            TablePointer { limit: (size_of_val(&self.descriptors) - 1) as u16, base: self.descriptors.as_ptr() as u64 };
        // SAFETY: the table holds valid descriptors for the selectors loaded here, and lives for ever (the caller's word).
        unsafe {
            core::arch::asm!(
                "lgdt [{pointer}]",
                "push {code}",
                "lea {scratch}, [rip + 2f]",
                "push {scratch}",
                "retfq",
                "2:",
                "mov ss, {data:e}",
                "mov ds, {zero:e}",
                "mov es, {zero:e}",
                "mov fs, {zero:e}",
                "mov gs, {zero:e}",
                "ltr {task:x}",
                pointer = in(reg) &raw const pointer,
                code = const KERNEL_CODE,
                data = in(reg) u32::from(KERNEL_DATA),
                zero = in(reg) 0_u32,
                task = in(reg) TASK_STATE,
                scratch = out(reg) _,
            );
        }
    }

    /// Allows or forbids ports in the bitmap.
    pub fn set_ports(&mut self, first: u16, count: u16, access: PortAccess) {
        for port in (usize::from(first)..PORTS).take(count.into()) {
            let bit = 1 << (port % 8);
            match access {
                PortAccess::Allowed => self.task.port_bitmap[port / 8] &= !bit,
                PortAccess::Forbidden => self.task.port_bitmap[port / 8] |= bit,
            }
        }
    }

    /// Puts the bitmap in force, or forbids all ports.
    pub fn use_ports(&mut self, access: PortAccess) {
        self.task.port_bitmap_offset = match access {
            PortAccess::Allowed => offset_of!(TaskState, port_bitmap) as u16,
            PortAccess::Forbidden => NO_PORTS,
        };
    }
}

/// Whether user mode may use a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PortAccess {
    /// It may.
    Allowed,
    /// It faults.
    Forbidden,
}
