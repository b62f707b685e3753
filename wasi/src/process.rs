//! Arguments, environment, clocks, random numbers and the end: `args_*`, `environ_*`, `clock_*`, `random_get`,
//! `proc_*`, `sched_yield`. In: what the embedder gave and the host's clocks; out: values in guest memory.

use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_getres, clock_gettime};

use crate::memory::GuestMemory;
use crate::types::timestamp;
use crate::{Errno, WasiCtx};

/// The end of a program by `proc_exit`, with its code. It reaches the embedder as the error of the call that ran the
/// program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exit with status {0}")]
pub struct I32Exit(pub i32);

/// The host's clock for a number of the interface.
pub(crate) fn clock(id: u32) -> Result<ClockId, Errno> {
    const CLOCKS: [ClockId; 4] =
        [ClockId::Realtime, ClockId::Monotonic, ClockId::ProcessCPUTime, ClockId::ThreadCPUTime];
    CLOCKS.get(id as usize).copied().ok_or(Errno::Inval)
}

/// What a clock shows, in nanoseconds.
pub(crate) fn now(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    timestamp(time.tv_sec, time.tv_nsec)
}

/// Writes the count of strings and the bytes they take with their NULs.
fn write_sizes(mem: &mut GuestMemory<'_>, strings: &[Vec<u8>], count: u32, size: u32) -> Result<(), Errno> {
    let bytes: usize = strings.iter().map(|string| string.len() + 1).sum();
    mem.write_u32(count, u32::try_from(strings.len()).map_err(|_| Errno::Overflow)?)?;
    mem.write_u32(size, u32::try_from(bytes).map_err(|_| Errno::Overflow)?)
}

/// Writes strings with their NULs one after the other at `buf`, and their addresses at `pointers`.
fn write_strings(mem: &mut GuestMemory<'_>, strings: &[Vec<u8>], pointers: u32, buf: u32) -> Result<(), Errno> {
    let (mut pointer, mut at) = (pointers, buf);
    for string in strings {
        mem.write_u32(pointer, at)?;
        mem.write(at, string)?;
        let len = u32::try_from(string.len()).map_err(|_| Errno::Overflow)?;
        let end = at.checked_add(len).ok_or(Errno::Fault)?;
        mem.write(end, &[0])?;
        at = end.checked_add(1).ok_or(Errno::Fault)?;
        pointer = pointer.checked_add(4).ok_or(Errno::Fault)?;
    }
    Ok(())
}

impl WasiCtx {
    /// Writes the arguments.
    pub fn args_get(&mut self, mem: &mut GuestMemory<'_>, argv: u32, buf: u32) -> Result<(), Errno> {
        write_strings(mem, &self.args, argv, buf)
    }

    /// Tells how many arguments there are, and their size.
    pub fn args_sizes_get(&mut self, mem: &mut GuestMemory<'_>, argc: u32, size: u32) -> Result<(), Errno> {
        write_sizes(mem, &self.args, argc, size)
    }

    /// Writes the environment.
    pub fn environ_get(&mut self, mem: &mut GuestMemory<'_>, environ: u32, buf: u32) -> Result<(), Errno> {
        write_strings(mem, &self.env, environ, buf)
    }

    /// Tells how many variables the environment has, and their size.
    pub fn environ_sizes_get(&mut self, mem: &mut GuestMemory<'_>, count: u32, size: u32) -> Result<(), Errno> {
        write_sizes(mem, &self.env, count, size)
    }

    /// Tells a clock's resolution.
    pub fn clock_res_get(&mut self, mem: &mut GuestMemory<'_>, id: u32, resolution: u32) -> Result<(), Errno> {
        let res = clock_getres(clock(id)?);
        mem.write_u64(resolution, timestamp(res.tv_sec, res.tv_nsec))
    }

    /// Tells the time. The host is always as precise as it can be.
    pub fn clock_time_get(
        &mut self,
        mem: &mut GuestMemory<'_>,
        id: u32,
        _precision: u64,
        time: u32,
    ) -> Result<(), Errno> {
        mem.write_u64(time, now(clock(id)?))
    }

    /// Fills a buffer with random bytes.
    pub fn random_get(&mut self, mem: &mut GuestMemory<'_>, buf: u32, buf_len: u32) -> Result<(), Errno> {
        let mut rest = mem.slice_mut(buf, buf_len)?;
        while !rest.is_empty() {
            let got = rustix::io::retry_on_intr(|| getrandom(&mut *rest, GetRandomFlags::empty()))?;
            rest = &mut rest[got..];
        }
        Ok(())
    }

    /// Lets other threads run.
    pub fn sched_yield(&mut self, _mem: &mut GuestMemory<'_>) -> Result<(), Errno> {
        rustix::thread::sched_yield();
        Ok(())
    }

    /// Sending signals is not supported: a guest has none to receive.
    pub fn proc_raise(&mut self, _mem: &mut GuestMemory<'_>, _signal: u32) -> Result<(), Errno> {
        Err(Errno::NotSup)
    }

    /// The error that ends a program.
    pub fn proc_exit(&mut self, code: u32) -> I32Exit {
        I32Exit(code.cast_signed())
    }
}
