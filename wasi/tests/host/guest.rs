//! A guest without a program: memory, and calls that pass what they are given through it.
//! Paths lie at fixed addresses, results are read back from [`OUT`].

use std::path::Path;

use wasi::types::{oflag, right};
use wasi::{Errno, GuestMemory, WasiCtx, WasiCtxBuilder};

pub(crate) const MEMORY: usize = 1 << 20;
pub(crate) const OUT: u32 = 64;
pub(crate) const IOVECS: u32 = 1024;
pub(crate) const PATH: u32 = 32 * 1024;
pub(crate) const OTHER_PATH: u32 = 48 * 1024;
pub(crate) const DATA: u32 = 64 * 1024;
pub(crate) const FOLLOW: u32 = 1;
/// The descriptor of the directory that [`Guest::in_dir`] gives.
pub(crate) const ROOT: u32 = 3;
pub(crate) const RW: u64 = right::FD_READ | right::FD_WRITE;

pub(crate) struct Guest {
    pub(crate) ctx: WasiCtx,
    pub(crate) memory: Vec<u8>,
}

pub(crate) type Result<T> = std::result::Result<T, Errno>;

impl Guest {
    pub(crate) fn new(ctx: WasiCtx) -> Guest {
        Guest { ctx, memory: vec![0; MEMORY] }
    }

    pub(crate) fn in_dir(dir: &Path) -> Guest {
        Guest::new(WasiCtxBuilder::new().preopened_dir(dir, "/", false).unwrap().build().unwrap())
    }

    pub(crate) fn call(
        &mut self,
        function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> Result<()>,
    ) -> Result<()> {
        function(&mut self.ctx, &mut GuestMemory::new(&mut self.memory))
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) -> u32 {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        bytes.len() as u32
    }

    pub(crate) fn bytes(&self, at: u32, len: usize) -> &[u8] {
        &self.memory[at as usize..][..len]
    }

    pub(crate) fn u16(&self, at: u32) -> u16 {
        u16::from_le_bytes(self.bytes(at, 2).try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Puts a list of buffers in memory and returns its length.
    pub(crate) fn iovecs(&mut self, list: &[(u32, u32)]) -> u32 {
        let bytes: Vec<u8> = list.iter().flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()].concat()).collect();
        self.put(IOVECS, &bytes);
        list.len() as u32
    }

    /// Calls a function that takes one path.
    pub(crate) fn path(
        &mut self,
        path: &str,
        function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>, u32, u32) -> Result<()>,
    ) -> Result<()> {
        let len = self.put(PATH, path.as_bytes());
        self.call(|ctx, mem| function(ctx, mem, PATH, len))
    }

    /// Calls a function that takes two paths.
    pub(crate) fn paths(
        &mut self,
        one: &str,
        other: &str,
        function: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>, (u32, u32), (u32, u32)) -> Result<()>,
    ) -> Result<()> {
        let one = (PATH, self.put(PATH, one.as_bytes()));
        let other = (OTHER_PATH, self.put(OTHER_PATH, other.as_bytes()));
        self.call(|ctx, mem| function(ctx, mem, one, other))
    }

    pub(crate) fn open_with(
        &mut self,
        path: &str,
        lookup: u32,
        oflags: u16,
        base: u64,
        inheriting: u64,
        fdflags: u16,
    ) -> Result<u32> {
        self.path(path, |ctx, mem, at, len| {
            ctx.path_open(mem, ROOT, lookup, at, len, oflags.into(), base, inheriting, fdflags.into(), OUT)
        })?;
        Ok(self.u32(OUT))
    }

    pub(crate) fn open(&mut self, path: &str, oflags: u16, base: u64) -> Result<u32> {
        self.open_with(path, 0, oflags, base, 0, 0)
    }

    pub(crate) fn create(&mut self, path: &str) -> Result<u32> {
        self.open(path, oflag::CREAT, RW)
    }

    pub(crate) fn close(&mut self, fd: u32) -> Result<()> {
        self.call(|ctx, mem| ctx.fd_close(mem, fd))
    }

    pub(crate) fn read(&mut self, fd: u32, len: u32) -> Result<Vec<u8>> {
        self.iovecs(&[(DATA, len)]);
        self.call(|ctx, mem| ctx.fd_read(mem, fd, IOVECS, 1, OUT))?;
        Ok(self.bytes(DATA, self.u32(OUT) as usize).to_vec())
    }

    pub(crate) fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32> {
        let len = self.put(DATA, bytes);
        self.iovecs(&[(DATA, len)]);
        self.call(|ctx, mem| ctx.fd_write(mem, fd, IOVECS, 1, OUT))?;
        Ok(self.u32(OUT))
    }

    pub(crate) fn stat(&mut self, path: &str, lookup: u32) -> Result<()> {
        self.path(path, |ctx, mem, at, len| ctx.path_filestat_get(mem, ROOT, lookup, at, len, OUT))
    }

    /// Type, flags, base and inheriting rights of a descriptor.
    pub(crate) fn fdstat(&mut self, fd: u32) -> Result<(u8, u16, u64, u64)> {
        self.call(|ctx, mem| ctx.fd_fdstat_get(mem, fd, OUT))?;
        Ok((self.memory[OUT as usize], self.u16(OUT + 2), self.u64(OUT + 8), self.u64(OUT + 16)))
    }
}
