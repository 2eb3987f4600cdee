//! Instructions: eight bytes each, an operation, three registers and a number.
//!
//! `a`, `b`, `c` name registers of the current call unless said otherwise; `d` is a number, a jump distance (from the
//! next instruction) or an index into a table of the function. `r[x]` is the content of register `x`.

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// What to do.
    pub op: Op,
    /// Usually the register for the result.
    pub a: u8,
    /// First operand.
    pub b: u8,
    /// Second operand.
    pub c: u8,
    /// Number, distance or index.
    pub d: i32,
}

/// No register: the result is dropped.
pub const NOWHERE: u8 = 255;

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Operations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $name,)* }

        impl Op {
            /// All operations in order of their codes.
            pub const ALL: &'static [Op] = &[$(Op::$name,)*];

            /// The name, for listings.
            pub fn name(self) -> &'static str {
                match self { $(Op::$name => stringify!($name),)* }
            }

            /// The operation with this code.
            pub fn from_code(code: u8) -> Option<Op> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

ops! {
    /// Nothing.
    Nop,
    /// `r[a] = r[b]`
    Move,
    /// `r[a] = r[b]`, and forgets `r[b]`
    Take,
    /// `r[a] =` constant `d`
    LoadConst,
    /// `r[a] = d`
    LoadInt,
    /// `r[a] = None`
    LoadNone,
    /// `r[a] = True` if `d` is 1, else `False`
    LoadBool,
    /// Forgets `r[a]`
    Clear,
    /// `r[a]` = the variable or function in global slot `d`
    LoadGlobal,
    /// Variable in global slot `d` `= r[a]`
    StoreGlobal,
    /// Function in global slot `d` `= r[a]`
    StoreFunction,
    /// Remembers `r[a]` as the nested function of slot `d`, for when nothing else has the name
    StoreNested,
    /// Removes the variable in global slot `d`
    DeleteGlobal,
    /// `r[a] = r[b]` if that is set, else looks the name up by chain `d`
    LoadChecked,
    /// `r[a]` = what chain `d` finds
    LoadChain,
    /// Like `LoadChain` for the callee of a call: unset if there is no variable of the name; if `b` is 1, and no function or
    /// builtin either
    LoadCallee,
    /// Puts `r[a]` into a new cell
    MakeCell,
    /// `r[a]` = content of the cell `r[b]`, or what chain `d` finds when that is unset
    LoadCell,
    /// Content of the cell `r[a]` `= r[b]`
    StoreCell,
    /// `r[a]` = content of captured cell `b`, or what chain `d` finds
    LoadCaptured,
    /// Content of captured cell `b` `= r[a]`
    StoreCaptured,
    /// Attribute `d` (a name) of the class whose body runs `= r[a]`
    StoreClass,
    /// Method `d` (a name) of the class whose body runs `= r[a]`
    StoreMethod,
    /// Removes member `d` (a name) of the class whose body runs
    DeleteClass,
    /// Raises the unknown-variable error for chain `d` if `r[a]` is unset
    Require,

    /// `r[a] = r[b] + r[c]`; in place when `a` is `b` and nobody else holds it
    Add,
    /// `r[a] = r[b] - r[c]`
    Sub,
    /// `r[a] = r[b] * r[c]`
    Mul,
    /// `r[a] = r[b] / r[c]`
    Div,
    /// `r[a] = r[b]` operator `d` `r[c]`, for the others
    Binary,
    /// `r[a] = r[b] + r[c]` and a jump by `d`, if both are small integers or both floats; else forgets `r[a]`
    AddNumbers,
    /// `r[a] = r[b] + d`
    AddInt,
    /// `r[a] = r[b] - d`
    SubInt,
    /// `r[a] = r[b] * d`
    MulInt,
    /// `r[a] = -r[b]`
    Neg,
    /// `r[a] = not r[b]`
    Not,
    /// `r[a] = ` unary operator `d` of `r[b]`
    Unary,
    /// `r[a] = r[b]` comparison `d` `r[c]`, as 1 or 0
    Compare,

    /// Jumps by `d`
    Jump,
    /// Jumps by `d` if `r[a]` is true
    JumpTrue,
    /// Jumps by `d` if `r[a]` is false
    JumpFalse,
    /// Jumps by `d` if `r[a] < r[b]`; `c` is 1 when it was written `>` the other way round
    JumpLess,
    /// The same when not
    JumpNotLess,
    /// Jumps by `d` if `r[a] <= r[b]`
    JumpLessEqual,
    /// The same when not
    JumpNotLessEqual,
    /// Jumps by `d` if `r[a] == r[b]`
    JumpEqual,
    /// The same when not
    JumpNotEqual,
    /// Jumps by the low half of `d` if `r[a]` is less than the high half
    JumpLessInt,
    /// The same when not
    JumpNotLessInt,
    /// Less or equal
    JumpLessEqualInt,
    /// The same when not
    JumpNotLessEqualInt,
    /// Greater
    JumpGreaterInt,
    /// The same when not
    JumpNotGreaterInt,
    /// Greater or equal
    JumpGreaterEqualInt,
    /// The same when not
    JumpNotGreaterEqualInt,
    /// Equal
    JumpEqualInt,
    /// Not equal
    JumpNotEqualInt,

    /// Prepares `for r[b] in range(...)`: `r[a], r[a+1], r[a+2]` hold start, stop and step; jumps by `d` if there is
    /// no round. Turns into a walk over a list when they do not fit 64 bits.
    RangePrepare,
    /// Next round: sets `r[b]` and jumps by `d`, or falls through
    RangeNext,
    /// `r[a] =` what a `for` over `r[b]` walks; `r[a+1]` is its cursor
    IterPrepare,
    /// Next round: sets `r[b]` and jumps by `d`, or falls through
    IterNext,

    /// `r[a] = []`
    NewList,
    /// Appends `r[b]` to the list being built in `r[a]`; `c` is 1 when `r[b]` is not needed afterwards
    PushItem,
    /// Appends everything in `r[b]` to the list being built in `r[a]`
    PushAll,
    /// `r[a] = {}`
    NewDict,
    /// Entry `r[b]: r[c]` of the dict being built in `r[a]`; forgets both
    PushEntry,
    /// Adds the entries of dict `r[b]` to the dict being built in `r[a]`
    PushEntries,
    /// `r[a] = set()`
    NewSet,
    /// Adds `r[b]` to the set being built in `r[a]`, likewise
    PushElement,
    /// `r[a] = (r[b], ...)`, `c` of them
    NewTuple,
    /// The list in `r[a]` becomes a tuple
    ListToTuple,
    /// `r[a] =` the strings in list `r[b]`, joined; forgets `r[b]`
    JoinText,
    /// Sets `d` registers from `r[a]` on to the items of `r[b]`
    Unpack,
    /// The same with a starred one: `d` is how many stand before it, `c` how many after it
    UnpackStar,

    /// `r[a] = r[b][r[c]]`
    GetIndex,
    /// The same, and forgets `r[b]`
    GetIndexTemp,
    /// `r[a] = r[b][d]`
    GetIndexInt,
    /// `r[a] =` global `d` `[r[b]]`
    GetIndexGlobal,
    /// `r[a][r[b]] = r[c]`; `d` is 1 when `r[c]` is not needed afterwards
    SetIndex,
    /// Global `d` `[r[b]] = r[c]`, which is not needed afterwards if `a` is 1
    SetIndexGlobal,
    /// `r[a] = r[b][slice]`: start, stop, step in `r[c]`, `r[c+1]`, `r[c+2]`
    GetSlice,
    /// `r[a] = r[b].name`, site `d`
    GetAttr,
    /// `r[a].name = r[b]`, site `d`; `c` is 1 when `r[b]` is not needed afterwards
    SetAttr,
    /// Deletes attribute of `r[a]`, site `d`
    DeleteAttr,
    /// `r[a] = super().name`, site `d`; `r[b]` is the instance
    GetSuper,
    /// `r[a] = len(r[b])`
    Len,
    /// `append(r[a], r[b])` on a local list; `c` is 1 when `r[b]` is not needed afterwards
    Append,
    /// `append(global d, r[b])`, likewise
    AppendGlobal,

    /// Stores `r[b]` at place `d`; `c` is 1 when it is not needed afterwards
    PlaceStore,
    /// `r[a] =` what is at place `d`
    PlaceLoad,
    /// `append(place d, r[b])`; result in `r[a]`
    PlaceAppend,
    /// Place `d` `= place + r[b]`, in place when nobody else holds it
    PlaceAdd,
    /// Removes what is at place `d`
    PlaceDelete,
    /// Calls method of the value at place `d`: arguments from `r[b]+1` on, `c` of them (or a list and a dict of them when
    /// `c` is nowhere); result in `r[a]`
    PlaceMethod,
    /// Replaces the slice at place `d` by `r[b]`: start, stop, step in `r[c]`, `r[c+1]`, `r[c+2]`; deletes it when `b`
    /// is nowhere
    PlaceSlice,

    /// Calls global `d` with `b` arguments from `r[a]` on; result in `r[c]`
    CallGlobal,
    /// Calls `r[a]` with `b` arguments from `r[a+1]` on; result in `r[c]`. When `r[a]` cannot be called, slot `d - 1`
    /// is, if `d` is not 0
    Call,
    /// Calls method of `r[a]` with `b` arguments from `r[a+1]` on; result in `r[c]`, site `d`
    CallMethod,
    /// Calls the method of the class above: `r[a]` is the instance
    CallSuper,
    /// Calls `r[a]` with the list `r[a+1]` and the dict (or `None`) `r[a+2]`; result in `r[c]`; `d` as in `Call`
    CallSpread,
    /// Returns `r[a]`
    Return,
    /// Returns 0, as falling off the end does
    ReturnZero,
    /// Gives `r[b]` to whoever asked the generator; `r[a] = None` when it goes on
    Yield,

    /// `r[a] =` function `d`, with the defaults from `r[b]` on, `c` of them
    MakeFunction,
    /// `r[a] =` class with body `d`; bases from `r[b]` on, `c` of them
    MakeClass,
    /// Raises the text form of `r[a]`, or the error it is
    Raise,
    /// Raises the error in `r[a]` again
    Reraise,
    /// `r[a] =` the error that was just caught
    Catch,
    /// `r[a] =` full text of the error `r[b]`
    ErrorText,
    /// `r[a] =` error object of the error `r[b]`
    ErrorObject,
    /// Jumps by `d` unless the error `r[a]` is of class (or one of the classes in the tuple) `r[b]`
    ErrorMismatch,
    /// Jumps by `d` if `r[a]` is not an error class
    JumpNotErrorClass,
    /// Raises an assertion error with text `r[a]` (or none)
    AssertFail,
    /// Prints the `b` values from `r[a]` on
    Print,
    /// `r[a] =` module, import `d`
    Import,
    /// `r[a] =` member `d` (a name) of module `r[b]`
    ImportFrom,
    /// Pushes `r[a]` on the pins
    Pin,
    /// Pops the pins into `r[a]`
    Unpin,
    /// Raises the error with constant `d` as its text
    Fail,
}

impl Insn {
    /// An instruction without registers.
    pub const fn new(op: Op, a: u8, b: u8, c: u8, d: i32) -> Insn {
        Insn { op, a, b, c, d }
    }

    /// The 16-bit number in the high half of `d`.
    #[inline(always)]
    pub const fn immediate(self) -> i64 {
        (self.d >> 16) as i64
    }

    /// The 16-bit jump distance in the low half of `d`.
    #[inline(always)]
    pub const fn short_jump(self) -> i32 {
        self.d as i16 as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_eight_bytes() {
        assert_eq!(size_of::<Insn>(), 8);
    }

    #[test]
    fn codes_name_their_operations() {
        for (code, op) in Op::ALL.iter().enumerate() {
            assert_eq!(*op as usize, code);
        }
    }
}
