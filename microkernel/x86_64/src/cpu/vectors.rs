//! Vector registers: kept for a thread that was interrupted, reset for one that made a system call, never seen by another.

use core::arch::asm;
use kernel_core::machine::UserContext;

/// An image for `fxrstor` (Intel SDM 1 §10.5.1).
#[repr(C, align(16))]
struct Image([u32; 128]);

/// The state that a program starts with: x87 control word 0x37f, MXCSR 0x1f80 (all exceptions masked), all else zero.
static INITIAL: Image = {
    let mut image = [0; 128];
    image[0] = 0x37f;
    image[6] = 0x1f80;
    Image(image)
};

/// Which of [`UserContext::machine`] says whether `vector` is filled.
pub const SAVED: usize = 0;

/// Loads what `context` is to find in the vector registers, in place of what another thread left there.
pub fn load_for(context: &UserContext) {
    let is_saved = context.machine[SAVED].get() != 0;
    context.machine[SAVED].set(0);
    let image = if is_saved { context.vector.as_ptr().cast::<u8>() } else { (&raw const INITIAL).cast() };
    // SAFETY: either the initial image, which is valid, or what the entry code's `fxsave64` wrote; both are aligned to 16
    // bytes and 512 long. Nobody else writes a context's vector area, so no reserved bit of MXCSR can be set in it.
    unsafe { asm!("fxrstor64 [{}]", in(reg) image, options(nostack, readonly)) };
}
