//! Numbers, rights, error codes and message layout: all that kernel and user space share.
#![no_std]
#![forbid(unsafe_code)]
