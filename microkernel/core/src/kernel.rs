//! The kernel of one CPU, as the machine sees it: a value with an entry for each thing that can happen.

use crate::machine::{Access, BootFacts, Exception, Machine, Resume};

/// What the CPUs' kernels share. The machine keeps one in a `static`.
pub struct Shared {
    _private: (),
}

impl Shared {
    /// An empty one.
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the kernel could not start init.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// There is too little memory; so many frames are needed.
    TooLittleMemory {
        /// Frames that are needed.
        needed_frames: u64,
    },
    /// There is no boot image, or it is not one.
    NoImage,
    /// The boot image is damaged.
    CorruptImage,
}

/// The kernel of one CPU. Interrupts are off while any of its methods runs; none of them is called from inside another.
///
/// The *current* thread is the one that the last [`Resume::User`] named. Before it calls an entry, the machine has saved the
/// current thread's registers in its context, if user space was running.
pub struct Kernel<M: Machine + 'static> {
    machine: M,
    cpu: usize,
    shared: &'static Shared,
}

impl<M: Machine> Kernel<M> {
    /// The kernel of CPU number `cpu`.
    pub const fn new(machine: M, cpu: usize, shared: &'static Shared) -> Self {
        Self {
            machine,
            cpu,
            shared,
        }
    }

    /// The machine.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The number of this CPU.
    pub const fn cpu(&self) -> usize {
        self.cpu
    }

    /// Takes the machine's memory, makes init and gives it everything. On CPU 0, once, before any other entry on any CPU.
    pub fn boot(&self, facts: &BootFacts<'_>) -> Result<Resume<'_>, BootError> {
        let _ = (facts, self.shared);
        Err(BootError::NoImage)
    }

    /// The current thread executed `SYSCALL`. Also the entry of the fast path.
    #[inline]
    pub fn syscall(&self) -> Resume<'_> {
        Resume::Idle
    }

    /// The current thread touched a page that is not there, or not for this.
    pub fn page_fault(&self, address: u64, access: Access, error_code: u64) -> Resume<'_> {
        let _ = (address, access, error_code);
        Resume::Idle
    }

    /// The current thread did something else that the processor refused.
    pub fn exception(&self, exception: Exception) -> Resume<'_> {
        let _ = exception;
        Resume::Idle
    }

    /// A device interrupted with this vector. A line is masked in here; the machine ends the interrupt at the local APIC after this returns.
    pub fn interrupt(&self, vector: u8) -> Resume<'_> {
        let _ = vector;
        Resume::Idle
    }

    /// The one-shot timer expired.
    pub fn timer(&self) -> Resume<'_> {
        Resume::Idle
    }

    /// Another CPU has posted something.
    pub fn ipi(&self) -> Resume<'_> {
        Resume::Idle
    }

    /// Says what to run when nothing else happened: the first entry on a CPU other than 0 (after `boot` on CPU 0 has returned), after
    /// [`Resume::Poll`], and after an interrupt that was the machine's own affair.
    pub fn resume(&self) -> Resume<'_> {
        Resume::Idle
    }
}
