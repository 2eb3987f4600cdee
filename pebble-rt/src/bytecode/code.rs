//! The code of one function, ready to run.

use alloc::rc::Rc;
use alloc::string::String;

/// The code of one function, ready to run.
#[derive(Debug)]
pub struct Code {
    /// The function's name.
    pub name: String,
    /// The module that its text form names: `<function m.f>`. `None` in the main program.
    pub module_prefix: Option<Rc<str>>,
}
