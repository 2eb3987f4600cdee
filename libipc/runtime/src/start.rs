//! The first instructions of a process, and how it leaves.

use crate::boot::{self, Boot, Termination};
use crate::bootstrap::{Bootstrap, Layout};
use crate::object::Mapping;
use crate::sys::{self, Registers};
use abi::Operation;
use abi::boot::BootInfo;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicPtr, Ordering};

/// The entry that the linker script names. The stack is aligned as the System V ABI wants it at a function's entry after the call.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn _start() -> ! {
    naked_asm!(
        "xor ebp, ebp",  // the end of the chain of frames
        "and rsp, -16",  // whatever the creator gave
        "call {begin}",  // rdi and rsi are still what the creator gave
        "ud2",           // it does not return
        begin = sym begin,
    )
}

unsafe extern "Rust" {
    /// What `#[libipc::entry]` makes of the program's `main`.
    safe fn __libipc_main(boot: Boot) -> u64;
}

/// Sets up the runtime, runs `main`, leaves.
extern "C" fn begin(argument: *const u8, length: usize) -> ! {
    // Nothing works without a thread block, not even a panic, and no heap without the process's own handle: the layout comes first.
    let layout = if length == 0 {
        init_layout()
    } else {
        Layout::from_bytes(bytes(argument, length)).unwrap_or_default()
    };
    crate::thread::adopt_first(&layout);
    // Not inlined: what uses the thread block must not be moved in front of what sets it.
    live(argument, length, &layout)
}

#[inline(never)]
fn live(argument: *const u8, length: usize, layout: &Layout) -> ! {
    boot::set_own_process(abi::Handle(layout.process));
    crate::space::set_range(layout.free_start, layout.free_end);
    crate::heap::set_limit(if layout.heap_limit == 0 {
        u64::MAX
    } else {
        layout.heap_limit
    });
    if layout.log != 0 {
        // SAFETY: the creator mapped a log ring there, readable and writable, for as long as the process lives.
        let memory =
            unsafe { Mapping::from_raw(layout.log as *mut u8, layout.log_length as usize) };
        if let Some(memory) = memory {
            crate::log::start(memory);
        }
    }
    let bootstrap = if length == 0 {
        init_bootstrap(argument)
    } else {
        Bootstrap::from_bytes(bytes(argument, length))
    };
    let Some(bootstrap) = bootstrap else {
        crate::panic::die(format_args!("the bootstrap page does not decode"))
    };
    crate::random::seed(bootstrap.seed);
    crate::control::set_incarnation(bootstrap.incarnation);
    exit(__libipc_main(Boot::new(bootstrap)))
}

/// Ends the process with this status.
pub fn exit(status: u64) -> ! {
    crate::endpoint::flush();
    let mut registers = Registers::new(Operation::ProcessExit);
    registers.words = crate::message::Words::from_words([status, 0, 0, 0, 0, 0, 0, 0]);
    sys::system_call(&mut registers);
    crate::panic::die(format_args!("the kernel refused to end the process"))
}

fn bytes(argument: *const u8, length: usize) -> &'static [u8] {
    // SAFETY: the creator mapped that many bytes there, read-only, for as long as the process lives.
    unsafe { core::slice::from_raw_parts(argument, length) }
}

/// Where the kernel puts init's message pages, and what is free around its image.
fn init_layout() -> Layout {
    Layout {
        process: abi::boot::SELF_PROCESS.0,
        message_pages: abi::boot::INIT_MESSAGE_PAGES,
        free_start: abi::boot::INIT_FREE_START,
        free_end: abi::boot::INIT_FREE_END,
        priority: abi::layout::PRIORITIES - 1,
        ..Layout::default()
    }
}

/// What init would have been told if somebody had made it.
fn init_bootstrap(argument: *const u8) -> Option<Bootstrap> {
    // SAFETY: the kernel mapped a BootInfo there, page-aligned and read-only, for ever.
    let info: &'static BootInfo = unsafe { &*argument.cast::<BootInfo>() };
    if info.magic != BootInfo::MAGIC {
        return None;
    }
    INIT_INFO.store(argument.cast_mut().cast(), Ordering::Relaxed);
    Some(Bootstrap {
        name: "init".into(),
        pid: 1,
        incarnation: info.incarnation,
        seed: info.random_seed,
        layout: init_layout(),
        ..Bootstrap::default()
    })
}

static INIT_INFO: AtomicPtr<BootInfo> = AtomicPtr::new(core::ptr::null_mut());

/// The kernel's description of the machine. Only init has one.
pub fn boot_info() -> Option<&'static BootInfo> {
    let info = INIT_INFO.load(Ordering::Relaxed);
    // SAFETY: it is null, or was checked when it was stored and stays mapped for ever.
    unsafe { info.as_ref() }
}

/// Runs `main`. For `#[libipc::entry]`.
pub fn run<T: Termination>(main: impl FnOnce(Boot) -> T, boot: Boot) -> u64 {
    main(boot).report()
}
