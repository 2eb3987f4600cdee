//! Hardening: programs of a few instructions that do what no program may, each in a process of its own, and how they end.

use abi::FaultKind;
use abi::records::{DeathCause, ProcessState};
use alloc::format;
use libipc::object::{MemoryObject, Process, Quota, ThreadStart};
use libipc::{Deadline, Handle, Instant, Protection, SysError, thread};

use crate::{Context, Outcome, Test, fine, same};

const PROGRAM_ADDRESS: u64 = 0x1000_0000;
/// The message pages: readable, writable; the end of the first is the stack's.
const PAGES_ADDRESS: u64 = 0x2000_0000;
const STACK: u64 = PAGES_ADDRESS + 4096;
/// The last page below the hole, where a `SYSCALL` would return to an address that is not canonical.
const LAST_PAGE: u64 = 0x7fff_ffff_f000;

/// The tests.
pub const TESTS: &[Test] = &[
    Test {
        name: "what no program may do ends it, and nothing else",
        run: |context| PROBES.iter().try_for_each(|probe| probe.check(context)),
    },
    Test {
        name: "nothing is mapped where a system call would return to no address",
        run: last_page,
    },
];

/// A program, and what it comes to: one of these faults, or if there are none an exit with status 0.
struct Probe {
    name: &'static str,
    program: &'static [u8],
    ends: &'static [FaultKind],
}

impl Probe {
    fn check(&self, context: &Context) -> Outcome {
        let quota = context
            .quota
            .as_ref()
            .ok_or("there is no quota for processes")?;
        let process = fine("process", Handle::<Process>::create(quota, None, 20))?;
        let started = start(&process, quota, self.program);
        let end = fine("start", started)
            .and_then(|()| end_of(&process))
            .map_err(|why| format!("{}: {why}", self.name));
        let _ = process.kill(0);
        let (cause, code) = end?;
        let is_expected = match cause {
            DeathCause::Exited => self.ends.is_empty() && code == 0,
            DeathCause::Faulted => self.ends.iter().any(|kind| *kind as u64 == code),
            _ => false,
        };
        same((self.name, is_expected, code), (self.name, true, code))
    }
}

/// Starts a program, alone in its process.
pub fn start(
    process: &Handle<Process>,
    quota: &Handle<Quota>,
    program: &[u8],
) -> Result<(), SysError> {
    let text = Handle::<MemoryObject>::create_on(quota, 4096)?;
    let view = text.map(0, 4096, Protection::ReadWrite)?;
    if !view.write(0, program) {
        return Err(SysError(abi::Outcome::BadAddress));
    }
    process.map(&text, PROGRAM_ADDRESS, 0, 4096, Protection::ReadExecute)?;
    let (main, _) = process.create_thread(&ThreadStart {
        entry: PROGRAM_ADDRESS,
        stack: STACK,
        arguments: [0, 0],
        pages: PAGES_ADDRESS,
        priority: 20,
        fs_base: 0,
    })?;
    main.start()
}

/// Waits for a process's end: why, and with which code.
fn end_of(process: &Handle<Process>) -> Result<(DeathCause, u64), alloc::string::String> {
    let deadline = Deadline::after_ms(10_000);
    loop {
        let figures = fine("figures", process.figures())?;
        if figures.state != ProcessState::Alive {
            return Ok((figures.cause, figures.code));
        }
        if Instant::now() > deadline.moment() {
            return Err(format!("it goes on: {figures:?}"));
        }
        fine("wait", thread::pause(Deadline::after_ms(1)))?;
    }
}

fn last_page(context: &Context) -> Outcome {
    let quota = context
        .quota
        .as_ref()
        .ok_or("there is no quota for processes")?;
    let process = fine("process", Handle::<Process>::create(quota, None, 20))?;
    let memory = fine("memory", Handle::<MemoryObject>::create(4096))?;
    let refused = process.map(&memory, LAST_PAGE, 0, 4096, Protection::ReadExecute);
    fine("kill", process.kill(0))?;
    same(refused, Err(SysError(abi::Outcome::BadAddress)))
}

/// The programs, each behind its source.
#[rustfmt::skip]
const PROBES: &[Probe] = &[
    Probe {
        name: "kernel memory is not read",
        // movabs rax, 0xffff800000000000; mov rax, [rax]
        program: &[0x48, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0xff, 0xff, 0x48, 0x8b, 0x00],
        ends: &[FaultKind::PageFault],
    },
    Probe {
        name: "kernel memory is not written",
        // movabs rax, 0xffffffff80000000; mov [rax], al
        program: &[0x48, 0xb8, 0x00, 0x00, 0x00, 0x80, 0xff, 0xff, 0xff, 0xff, 0x88, 0x00],
        ends: &[FaultKind::PageFault],
    },
    Probe {
        name: "kernel memory is not run",
        // movabs rax, 0xffffffff80000000; jmp rax
        program: &[0x48, 0xb8, 0x00, 0x00, 0x00, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe0],
        ends: &[FaultKind::PageFault],
    },
    Probe {
        name: "an address that is not canonical is not read",
        // movabs rax, 0x800000000000; mov rax, [rax]
        program: &[0x48, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x48, 0x8b, 0x00],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "an address that is not canonical is not run",
        // movabs rax, 0x800000000000; jmp rax
        program: &[0x48, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0xff, 0xe0],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "a program does not write its text",
        // mov [rip], al
        program: &[0x88, 0x05, 0x00, 0x00, 0x00, 0x00],
        ends: &[FaultKind::PageFault],
    },
    Probe {
        name: "data is not run",
        // mov eax, 0x20000000; jmp rax
        program: &[0xb8, 0x00, 0x00, 0x00, 0x20, 0xff, 0xe0],
        ends: &[FaultKind::PageFault],
    },
    Probe {
        name: "the time page is not written",
        // movabs rax, 0x7fffffffd000; mov [rax], al
        program: &[0x48, 0xb8, 0x00, 0xd0, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x00, 0x88, 0x00],
        ends: &[FaultKind::PageFault],
    },
    Probe {
        name: "interrupts are not turned off",
        // cli
        program: &[0xfa],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "the processor is not halted",
        // hlt
        program: &[0xf4],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "control registers are not read",
        // mov rax, cr3
        program: &[0x0f, 0x20, 0xd8],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "model-specific registers are not read",
        // mov ecx, 0xc0000082; rdmsr
        program: &[0xb9, 0x82, 0x00, 0x00, 0xc0, 0x0f, 0x32],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "ports are not used",
        // in al, 0x60
        program: &[0xe4, 0x60],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "descriptor tables are not looked at",
        // sgdt [0x20000800]
        program: &[0x0f, 0x01, 0x04, 0x25, 0x00, 0x08, 0x00, 0x20],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "no interrupt but the breakpoint is raised",
        // int 0x80
        program: &[0xcd, 0x80],
        ends: &[FaultKind::GeneralProtection],
    },
    Probe {
        name: "the kernel's segments are not entered",
        // push 0x10; push rsp; pushfq; push 8; push 0; iretq
        program: &[0x6a, 0x10, 0x54, 0x9c, 0x6a, 0x08, 0x6a, 0x00, 0x48, 0xcf],
        // QEMU's emulation reads the frame as the kernel would, which SMAP forbids.
        ends: &[FaultKind::GeneralProtection, FaultKind::PageFault],
    },
    Probe {
        name: "a breakpoint is reported as one",
        // int3
        program: &[0xcc],
        ends: &[FaultKind::Breakpoint],
    },
    Probe {
        name: "a single step is reported as one",
        // pushfq; or dword ptr [rsp], 0x100; popfq; nop; nop
        program: &[0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x90, 0x90],
        ends: &[FaultKind::Debug],
    },
    Probe {
        name: "a single step over a system call is the program's own",
        // xor eax, eax; pushfq; or dword ptr [rsp], 0x100; popfq; syscall; nop; nop
        program: &[0x31, 0xc0, 0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d, 0x0f, 0x05, 0x90, 0x90],
        ends: &[FaultKind::Debug],
    },
    Probe {
        name: "nothing is left in the registers of a new thread",
        // or rax, rbx; or rax, rcx; or rax, rdx; or rax, rbp; or rax, r8; or rax, r9; or rax, r10; or rax,
        // r11; or rax, r12; or rax, r13; or rax, r14; or rax, r15; por xmm0, xmm1; por xmm0, xmm2; por xmm0,
        // xmm3; por xmm0, xmm4; por xmm0, xmm5; por xmm0, xmm6; por xmm0, xmm7; por xmm0, xmm8; por xmm0,
        // xmm9; por xmm0, xmm10; por xmm0, xmm11; por xmm0, xmm12; por xmm0, xmm13; por xmm0, xmm14; por xmm0,
        // xmm15; movq rdx, xmm0; psrldq xmm0, 8; movq rcx, xmm0; or rdx, rcx; or rdx, rax; mov eax, 30;
        // syscall
        program: &[
            0x48, 0x09, 0xd8, 0x48, 0x09, 0xc8, 0x48, 0x09, 0xd0, 0x48, 0x09, 0xe8, 0x4c, 0x09, 0xc0, 0x4c, 0x09, 0xc8,
            0x4c, 0x09, 0xd0, 0x4c, 0x09, 0xd8, 0x4c, 0x09, 0xe0, 0x4c, 0x09, 0xe8, 0x4c, 0x09, 0xf0, 0x4c, 0x09, 0xf8,
            0x66, 0x0f, 0xeb, 0xc1, 0x66, 0x0f, 0xeb, 0xc2, 0x66, 0x0f, 0xeb, 0xc3, 0x66, 0x0f, 0xeb, 0xc4, 0x66, 0x0f,
            0xeb, 0xc5, 0x66, 0x0f, 0xeb, 0xc6, 0x66, 0x0f, 0xeb, 0xc7, 0x66, 0x41, 0x0f, 0xeb, 0xc0, 0x66, 0x41, 0x0f,
            0xeb, 0xc1, 0x66, 0x41, 0x0f, 0xeb, 0xc2, 0x66, 0x41, 0x0f, 0xeb, 0xc3, 0x66, 0x41, 0x0f, 0xeb, 0xc4, 0x66,
            0x41, 0x0f, 0xeb, 0xc5, 0x66, 0x41, 0x0f, 0xeb, 0xc6, 0x66, 0x41, 0x0f, 0xeb, 0xc7, 0x66, 0x48, 0x0f, 0x7e,
            0xc2, 0x66, 0x0f, 0x73, 0xd8, 0x08, 0x66, 0x48, 0x0f, 0x7e, 0xc1, 0x48, 0x09, 0xca, 0x48, 0x09, 0xc2, 0xb8,
            0x1e, 0x00, 0x00, 0x00, 0x0f, 0x05,
        ],
        ends: &[],
    },
];
