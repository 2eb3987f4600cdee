//! Making threads, and the block of the first one.

use crate::block::ThreadBlock;
use crate::boot::own_process;
use crate::bootstrap::Layout;
use crate::error::SysError;
use crate::handle::Handle;
use crate::object::{Notification, Process, Thread, ThreadStart};
use crate::sys;
use crate::time::Deadline;
use abi::layout::PAGE_SIZE;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::arch::naked_asm;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Bytes of a thread's stack. Frames are only taken when they are touched.
const STACK_BYTES: u64 = 256 * 1024;

static PRIORITY: AtomicU8 = AtomicU8::new(0);
static FIRST: FirstBlock = FirstBlock(UnsafeCell::new(MaybeUninit::uninit()));

struct FirstBlock(UnsafeCell<MaybeUninit<ThreadBlock>>);

// SAFETY: written once, before there is a second thread, and afterwards used by the first thread only.
unsafe impl Sync for FirstBlock {}

/// Gives the first thread its block. Called once, before everything else.
pub(crate) fn adopt_first(layout: &Layout) {
    PRIORITY.store(layout.priority, Ordering::Relaxed);
    let send = layout.message_pages as *mut u8;
    // SAFETY: nobody else has seen `FIRST` yet (this is the first function of the process), and it is never written again.
    let block =
        unsafe { (*FIRST.0.get()).write(ThreadBlock::new(send, send.wrapping_add(PAGE_SIZE))) };
    sys::set_block(block);
}

/// A thread that was started.
#[derive(Debug)]
pub struct JoinHandle {
    thread: Handle<Thread>,
    done: Handle<Notification>,
    is_done: Arc<AtomicBool>,
}

impl JoinHandle {
    /// The thread.
    pub fn thread(&self) -> &Handle<Thread> {
        &self.thread
    }

    /// Whether its function has returned.
    pub fn is_finished(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Waits until its function has returned.
    ///
    /// # Errors
    /// `DeadlinePassed`.
    pub fn join(&self, deadline: Deadline) -> Result<(), SysError> {
        while !self.is_finished() {
            self.done.wait(1, deadline)?;
        }
        Ok(())
    }
}

/// What a new thread finds at its start.
struct Birth {
    block: ThreadBlock,
    job: Option<Box<dyn FnOnce() + Send>>,
    done: Handle<Notification>,
    is_done: Arc<AtomicBool>,
}

/// Starts a thread at the process's own priority. Its stack and block stay with the process.
///
/// # Errors
/// The quota's.
pub fn spawn(job: impl FnOnce() + Send + 'static) -> Result<JoinHandle, SysError> {
    let done = Handle::<Notification>::create()?;
    let is_done = Arc::new(AtomicBool::new(false));
    let pages = crate::space::take(2 * PAGE_SIZE as u64)?;
    let stack = sys::grow(STACK_BYTES)?;
    let send = pages as *mut u8;
    let birth = Box::new(Birth {
        block: ThreadBlock::new(send, send.wrapping_add(PAGE_SIZE)),
        job: Some(Box::new(job)),
        done: done.duplicate()?,
        is_done: is_done.clone(),
    });
    let birth: &'static mut Birth = Box::leak(birth);
    let process = core::mem::ManuallyDrop::new(Handle::<Process>::from_raw(own_process()));
    let (thread, _) = process.create_thread(&ThreadStart {
        entry: enter as *const () as u64,
        stack: stack as u64 + STACK_BYTES,
        arguments: [core::ptr::from_mut(birth) as u64, 0],
        pages,
        priority: PRIORITY.load(Ordering::Relaxed),
        fs_base: 0,
    })?;
    thread.start()?;
    Ok(JoinHandle {
        thread,
        done,
        is_done,
    })
}

#[unsafe(naked)]
extern "C" fn enter() -> ! {
    naked_asm!(
        "xor ebp, ebp",
        "and rsp, -16",
        "call {live}",
        "ud2",
        live = sym live,
    )
}

extern "C" fn live(birth: *mut Birth) -> ! {
    // SAFETY: `spawn` leaked it for this thread alone.
    let Birth {
        block,
        job,
        done,
        is_done,
    } = unsafe { &mut *birth };
    sys::set_block(block);
    // Not inlined: what uses the thread block must not be moved in front of what sets it.
    work(job, done, is_done)
}

#[inline(never)]
fn work(
    job: &mut Option<Box<dyn FnOnce() + Send>>,
    done: &Handle<Notification>,
    is_done: &AtomicBool,
) -> ! {
    if let Some(job) = job.take() {
        job();
    }
    is_done.store(true, Ordering::Release);
    // Without the signal a waiter waits until its deadline, which is all that can be done.
    let _ = done.signal(1);
    super::exit()
}
