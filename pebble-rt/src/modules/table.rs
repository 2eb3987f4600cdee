//! The tables of native modules.

/// Declares a native module, `MODULE`, and the plain functions that are its twins, `FUNCTIONS`.
///
/// A line of `plain` is `"member" as "plain name" (least, most) body;`: argument count errors show the plain name. A line
/// of `own` has no plain twin. Both print as `<builtin MODULE.MEMBER>`.
macro_rules! native_module {
    (
        $module:literal, $family:expr;
        plain { $($member:literal as $plain:literal ($least:expr, $most:expr) $body:expr;)* }
        own { $($own:literal ($own_least:expr, $own_most:expr) $own_body:expr;)* }
        constants { $($constant:literal = $make:expr;)* }
    ) => {
        /// The functions of the module that are also plain functions.
        pub static FUNCTIONS: &[$crate::native::NativeFunction] = &[
            $($crate::native::NativeFunction::new($plain, $least, $most, $body)
                .shown_as(concat!($module, ".", $member))
                .of($family),)*
        ];

        static OWN: &[$crate::native::NativeFunction] = &[
            $($crate::native::NativeFunction::new($own, $own_least, $own_most, $own_body)
                .shown_as(concat!($module, ".", $own))
                .of($family),)*
        ];

        static MEMBERS: &[(&str, $crate::native::NativeMember)] = {
            const PLAIN_NAMES: &[&str] = &[$($member,)*];
            const OWN_NAMES: &[&str] = &[$($own,)*];
            const CONSTANTS: &[(&str, $crate::native::NativeMember)] =
                &[$(($constant, $crate::native::NativeMember::Constant($make)),)*];
            const COUNT: usize = PLAIN_NAMES.len() + OWN_NAMES.len() + CONSTANTS.len();
            static ALL: [(&str, $crate::native::NativeMember); COUNT] = {
                let nothing = $crate::native::NativeMember::Constant(|_| Ok($crate::value::Value::None));
                let mut members = [("", nothing); COUNT];
                let mut index = 0;
                while index < PLAIN_NAMES.len() {
                    members[index] = (PLAIN_NAMES[index], $crate::native::NativeMember::Function(&FUNCTIONS[index]));
                    index += 1;
                }
                let mut own = 0;
                while own < OWN_NAMES.len() {
                    members[index] = (OWN_NAMES[own], $crate::native::NativeMember::Function(&OWN[own]));
                    index += 1;
                    own += 1;
                }
                let mut constant = 0;
                while constant < CONSTANTS.len() {
                    members[index] = CONSTANTS[constant];
                    index += 1;
                    constant += 1;
                }
                members
            };
            &ALL
        };

        /// The module.
        pub static MODULE: $crate::native::NativeModule =
            $crate::native::NativeModule { name: $module, family: $family, members: MEMBERS };
    };
}

pub(super) use native_module;
