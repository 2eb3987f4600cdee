//! Hardware: the authority over the machine itself. init gets the only one at boot.

use zerocopy::FromBytes;

use super::Header;

/// The object; it is only an authority.
#[derive(FromBytes)]
#[repr(C, align(64))]
pub struct Hardware {
    /// The header.
    pub header: Header,
}
