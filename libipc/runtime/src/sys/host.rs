//! The kernel's stand-in on the host.
//!
//! A test installs a [`Backend`] for its thread; the package `libipc-testing` has one. Without it every system call is refused with `Unsupported`.

use super::Registers;
use crate::block::ThreadBlock;
use crate::error::SysError;
use abi::layout::PAGE_SIZE;
use abi::{MessageInfo, Outcome};
use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::thread_local;

/// A page of a message.
pub type MessagePage = [u8; PAGE_SIZE];

/// What takes the kernel's place: one value for each thread, which knows the process that the thread plays.
pub trait Backend {
    /// Does what the kernel would do. `send` and `receive` are the thread's message pages.
    fn system_call(
        &self,
        registers: &mut Registers,
        send: &mut MessagePage,
        receive: &mut MessagePage,
    );

    /// Nanoseconds since boot.
    fn now_ns(&self) -> u64;

    /// Maps memory; the address is valid until [`Backend::unmap`].
    ///
    /// # Errors
    /// As `ProcessMap`.
    fn map(
        &self,
        memory: abi::Handle,
        offset: u64,
        length: u64,
        protection: u64,
    ) -> Result<*mut u8, SysError>;

    /// Ends a mapping.
    fn unmap(&self, address: *mut u8, length: u64);

    /// An address for the message page of a Call: a page that stays valid for reading and writing while the backend lives.
    fn allocate_page(&self) -> *mut u8;
}

thread_local! {
    static BACKEND: RefCell<Option<Rc<dyn Backend>>> = const { RefCell::new(None) };
    static BLOCK: &'static ThreadBlock = Box::leak(Box::new(new_block()));
}

fn new_block() -> ThreadBlock {
    let pages: &'static mut [MessagePage; 2] = Box::leak(Box::new([[0; PAGE_SIZE]; 2]));
    let [send, receive] = pages;
    ThreadBlock::new(send.as_mut_ptr(), receive.as_mut_ptr())
}

/// Installs the kernel that this thread talks to, and returns the one of before.
pub fn install(backend: Option<Rc<dyn Backend>>) -> Option<Rc<dyn Backend>> {
    BACKEND.with(|slot| slot.replace(backend))
}

fn backend() -> Option<Rc<dyn Backend>> {
    // A handle that is dropped while its thread is taken apart finds no kernel any more.
    BACKEND
        .try_with(|slot| slot.borrow().clone())
        .ok()
        .flatten()
}

pub(crate) fn system_call(registers: &mut Registers) {
    let Some(backend) = backend() else {
        registers.rax = u64::from(MessageInfo::new(Outcome::Unsupported as u8, 0).0);
        return;
    };
    let block = block();
    // SAFETY: both pages were leaked for this thread's block alone and nothing holds a reference into them across a system call.
    let (send, receive) = unsafe {
        (
            &mut *block.send_page().cast::<MessagePage>(),
            &mut *block.receive_page().cast::<MessagePage>(),
        )
    };
    backend.system_call(registers, send, receive);
}

pub(crate) fn block() -> &'static ThreadBlock {
    BLOCK.with(|block| *block)
}

pub(crate) fn now_ns() -> u64 {
    backend().map_or(0, |backend| backend.now_ns())
}

pub(crate) fn map(
    memory: abi::Handle,
    offset: u64,
    length: u64,
    protection: u64,
) -> Result<*mut u8, SysError> {
    backend()
        .ok_or(SysError(Outcome::Unsupported))?
        .map(memory, offset, length, protection)
}

pub(crate) fn unmap(address: *mut u8, length: u64) {
    if let Some(backend) = backend() {
        backend.unmap(address, length);
    }
}

pub(crate) fn allocate_page() -> Result<*mut u8, SysError> {
    Ok(backend()
        .ok_or(SysError(Outcome::Unsupported))?
        .allocate_page())
}
