//! What is specific to an operating system. In: borrowed host descriptors; out: `rustix` results.
//! [`unix`] holds what any Unix does alike, `linux` what only Linux has or does its own way.

#[cfg(not(target_os = "linux"))]
compile_error!("the host functions know Linux only so far: another system needs its own file beside sys/linux.rs");

mod linux;
mod unix;

pub(crate) use linux::*;
pub(crate) use unix::*;
