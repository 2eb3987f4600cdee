//! Notifications, interrupts, quotas, and the hardware objects.

use super::{
    Endpoint, Hardware, Interrupt, IoPorts, IoSpace, MemoryObject, Notification, Protection, Quota,
};
use crate::endpoint::flush;
use crate::error::SysError;
use crate::handle::Handle;
use crate::sys::{self, Arguments, operate};
use crate::time::Deadline;
use abi::syscall::InterruptKind;
use abi::{Operation, Rights};

impl Handle<Notification> {
    /// Makes one.
    ///
    /// # Errors
    /// The quota's.
    pub fn create() -> Result<Self, SysError> {
        let made = operate(Operation::NotificationCreate, Arguments::default())?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Sets bits.
    ///
    /// # Errors
    /// `NoRights` without `SIGNAL`.
    pub fn signal(&self, bits: u64) -> Result<(), SysError> {
        operate(Operation::NotificationSignal, self.arguments_with(&[bits])).map(drop)
    }

    /// Waits until one of `bits` is set and takes those that are.
    ///
    /// # Errors
    /// `DeadlinePassed`; `NoRights` without `WAIT`.
    pub fn wait(&self, bits: u64, deadline: Deadline) -> Result<u64, SysError> {
        flush();
        let arguments = Arguments {
            s: deadline.moment().as_ns(),
            ..self.arguments_with(&[bits])
        };
        operate(Operation::NotificationWait, arguments).map(|answer| answer.rsi)
    }

    /// Takes those of `bits` that are set.
    ///
    /// # Errors
    /// `NoRights` without `WAIT`.
    pub fn poll(&self, bits: u64) -> Result<u64, SysError> {
        operate(Operation::NotificationPoll, self.arguments_with(&[bits])).map(|answer| answer.rsi)
    }

    /// Binds it to an endpoint: its bits then wake `receive` there, with this cookie.
    ///
    /// # Errors
    /// `NoRights`, `Busy` if it is bound.
    pub fn bind(&self, endpoint: &Handle<Endpoint>, cookie: u64) -> Result<(), SysError> {
        let arguments = Arguments {
            b: endpoint.raw().0,
            ..self.arguments_with(&[cookie])
        };
        operate(Operation::NotificationBind, arguments).map(drop)
    }
}

impl Handle<Interrupt> {
    /// Lets the interrupt set a bit of a notification.
    ///
    /// # Errors
    /// `NoRights`, `BadArgument` for a bit above 63.
    pub fn bind(&self, notification: &Handle<Notification>, bit: u8) -> Result<(), SysError> {
        let arguments = Arguments {
            b: notification.raw().0,
            ..self.arguments_with(&[u64::from(bit)])
        };
        operate(Operation::InterruptBind, arguments).map(drop)
    }

    /// Unmasks a line after its device was served. A message interrupt needs none.
    ///
    /// # Errors
    /// `NoRights` without `SIGNAL`.
    pub fn acknowledge(&self) -> Result<(), SysError> {
        operate(Operation::InterruptAcknowledge, self.arguments()).map(drop)
    }
}

/// Where a device finds memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IoAddress(pub u64);

impl Handle<IoSpace> {
    /// Lets the device reach a range of memory.
    ///
    /// # Errors
    /// `NoRights`; `Unsupported` for memory that is not contiguous where there is no IOMMU.
    pub fn map(
        &self,
        memory: &Handle<MemoryObject>,
        offset: u64,
        length: u64,
        protection: Protection,
    ) -> Result<IoAddress, SysError> {
        let arguments = Arguments {
            b: memory.raw().0,
            s: protection.bits(),
            ..self.arguments_with(&[offset, length])
        };
        operate(Operation::IoSpaceMap, arguments).map(|answer| IoAddress(answer.rdi))
    }

    /// Ends that. The frames stay withheld until the device is known to have stopped.
    ///
    /// # Errors
    /// `NotMapped`.
    pub fn unmap(&self, address: IoAddress, length: u64) -> Result<(), SysError> {
        operate(
            Operation::IoSpaceUnmap,
            self.arguments_with(&[address.0, length]),
        )
        .map(drop)
    }

    /// Says that the device was stopped: everything withheld is freed.
    ///
    /// # Errors
    /// `NoRights` without `REVOKE`.
    pub fn release(&self) -> Result<(), SysError> {
        operate(Operation::IoSpaceRelease, self.arguments()).map(drop)
    }
}

impl Handle<IoPorts> {
    /// Lets this process use the ports.
    ///
    /// # Errors
    /// `NoRights` without `MAP`.
    pub fn enable(&self) -> Result<(), SysError> {
        operate(Operation::IoPortsEnable, self.arguments()).map(drop)
    }
}

/// Limits of a quota and what is used of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a limit and its use, three times")]
pub struct QuotaFigures {
    pub frames: u64,
    pub handles: u64,
    pub threads: u64,
    pub frames_used: u64,
    pub handles_used: u64,
    pub threads_used: u64,
}

impl Handle<Quota> {
    /// Moves a part of the limits to a new quota under this one.
    ///
    /// # Errors
    /// The quota's own, if it has not that much.
    pub fn split(&self, frames: u64, handles: u64, threads: u64) -> Result<Self, SysError> {
        let made = operate(
            Operation::QuotaSplit,
            self.arguments_with(&[frames, handles, threads]),
        )?;
        Ok(Self::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// A handle to lend for a session: its holder can have what it makes charged to this quota, and can't close it. What is charged comes back as it is let go;
    /// nothing new is charged once this handle, or the last one that can close the quota, is gone.
    ///
    /// # Errors
    /// `NoRights` without `DUPLICATE`.
    pub fn lend(&self) -> Result<Self, SysError> {
        self.restricted(Rights::MANAGE | Rights::INSPECT | Rights::TRANSFER | Rights::DUPLICATE)
    }

    /// Reads figures.
    ///
    /// # Errors
    /// `NoRights` without `INSPECT`.
    pub fn figures(&self) -> Result<QuotaFigures, SysError> {
        let words = operate(Operation::QuotaRead, self.arguments())?
            .words
            .to_words();
        Ok(QuotaFigures {
            frames: words[0],
            handles: words[1],
            threads: words[2],
            frames_used: words[3],
            handles_used: words[4],
            threads_used: words[5],
        })
    }

    /// Ends everything that lives under it; the limits return to its parent.
    ///
    /// # Errors
    /// `NoRights` without `OWN`.
    pub fn close(&self) -> Result<(), SysError> {
        operate(Operation::QuotaClose, self.arguments()).map(drop)
    }
}

/// A message interrupt: the object, and what to write into the device's vector table.
#[derive(Debug)]
pub struct MessageInterrupt {
    /// The object.
    pub interrupt: Handle<Interrupt>,
    /// Message address.
    pub address: u64,
    /// Message data.
    pub data: u32,
}

/// How a line is wired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineMode {
    /// Level-triggered, else edge.
    pub is_level: bool,
    /// Active low, else high.
    pub is_active_low: bool,
}

/// How device memory is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Caching {
    /// Not at all: registers.
    Uncached = 0,
    /// Writes are gathered: framebuffers.
    WriteCombining = 1,
    /// Like memory.
    Cached = 2,
}

/// Figures of a CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named as in the kernel's interface")]
pub struct CpuFigures {
    pub ready_threads: u64,
    pub idle_ns: u64,
    pub switches: u64,
    pub system_calls: u64,
    pub interrupts: u64,
    pub free_frames: u64,
    pub posts: u64,
    pub longest_stay_ns: u64,
    pub objects: u64,
}

impl Handle<Hardware> {
    /// Makes an interrupt from a line of an I/O APIC.
    ///
    /// # Errors
    /// `Unsupported` if there is no such line.
    pub fn line_interrupt(&self, line: u32, mode: LineMode) -> Result<Handle<Interrupt>, SysError> {
        let flags = u64::from(mode.is_level) | (u64::from(mode.is_active_low) << 1);
        let made = operate(
            Operation::HardwareInterrupt,
            self.arguments_with(&[InterruptKind::Line as u64, u64::from(line), flags]),
        )?;
        Ok(Handle::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Makes a message interrupt.
    ///
    /// # Errors
    /// The quota's, or `Unsupported` when the vectors are used up.
    pub fn message_interrupt(&self) -> Result<MessageInterrupt, SysError> {
        let made = operate(
            Operation::HardwareInterrupt,
            self.arguments_with(&[InterruptKind::Message as u64]),
        )?;
        let words = made.words.to_words();
        Ok(MessageInterrupt {
            interrupt: Handle::from_raw(abi::Handle(made.rdi as u32)),
            address: words[0],
            data: words[1] as u32,
        })
    }

    /// Makes device memory.
    ///
    /// # Errors
    /// `BadArgument` for RAM.
    pub fn device_memory(
        &self,
        physical: u64,
        length: u64,
        caching: Caching,
    ) -> Result<Handle<MemoryObject>, SysError> {
        let made = operate(
            Operation::HardwareMemory,
            self.arguments_with(&[physical, length, caching as u64]),
        )?;
        Ok(Handle::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Makes an IoSpace for a PCI function (`bus << 8 | device << 3 | function`).
    ///
    /// # Errors
    /// The quota's.
    pub fn io_space(&self, pci_address: u16) -> Result<Handle<IoSpace>, SysError> {
        let made = operate(
            Operation::HardwareIoSpace,
            self.arguments_with(&[u64::from(pci_address)]),
        )?;
        Ok(Handle::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Makes a range of ports.
    ///
    /// # Errors
    /// `BadArgument` past the last port.
    pub fn io_ports(&self, first: u16, count: u16) -> Result<Handle<IoPorts>, SysError> {
        let made = operate(
            Operation::HardwarePorts,
            self.arguments_with(&[u64::from(first), u64::from(count)]),
        )?;
        Ok(Handle::from_raw(abi::Handle(made.rdi as u32)))
    }

    /// Writes to the debug UART, while no driver has it.
    ///
    /// # Errors
    /// `InvalidState` once a driver has the ports; `BadArgument` for more than a message page.
    pub fn log(&self, text: &[u8]) -> Result<(), SysError> {
        flush();
        for chunk in text.chunks(abi::message::MAX_MESSAGE_BYTES) {
            sys::block().with_send_page(|page| page[..chunk.len()].copy_from_slice(chunk));
            operate(
                Operation::HardwareLog,
                self.arguments_with(&[chunk.len() as u64]),
            )?;
        }
        Ok(())
    }

    /// Reads figures of a CPU.
    ///
    /// # Errors
    /// `NotFound` if there is no such CPU.
    pub fn cpu(&self, cpu: u32) -> Result<CpuFigures, SysError> {
        let answer = operate(
            Operation::HardwareCpu,
            self.arguments_with(&[u64::from(cpu)]),
        )?;
        let [
            idle_ns,
            switches,
            system_calls,
            interrupts,
            free_frames,
            posts,
            longest_stay_ns,
            objects,
        ] = answer.words.to_words();
        Ok(CpuFigures {
            ready_threads: answer.rdi,
            idle_ns,
            switches,
            system_calls,
            interrupts,
            free_frames,
            posts,
            longest_stay_ns,
            objects,
        })
    }

    /// Has a bit of a notification set when a CPU becomes idle; the bit is the CPU's number.
    ///
    /// # Errors
    /// `NoRights`.
    pub fn watch_idle(&self, notification: &Handle<Notification>) -> Result<(), SysError> {
        operate(
            Operation::HardwareIdle,
            Arguments {
                b: notification.raw().0,
                ..self.arguments()
            },
        )
        .map(drop)
    }
}
