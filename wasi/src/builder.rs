//! What a guest is given: arguments, environment, standard streams, directories, listeners.
//! In: the embedder's choices; out: a [`WasiCtx`]. Invariant: a guest gets nothing that was not named here.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cap_std::fs::Dir;
use rustix::fs::{CWD, Mode, OFlags, fstat, openat};

use crate::descriptor::{Descriptor, Directory, Object};
use crate::forbidden::{Forbidden, Id, Private, id};
use crate::net::grant::{Grant, Network, Refusal};
use crate::poll::Pollers;
use crate::stat::describe_shared;
use crate::table::FdTable;
use crate::types::FileType;
use crate::{Errno, WasiCtx, sys};

/// How many descriptors a guest may have open when nothing else is said.
const DEFAULT_MAX_FDS: u32 = 1 << 16;

/// Why a guest could not be given something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Strings reach the guest with a NUL as their end.
    #[error("{what} {text:?} contains a NUL byte; leave it out")]
    Nul {
        /// Whether it is an argument, a variable, or the guest's name of a directory.
        what: &'static str,
        /// The string.
        text: String,
    },
    /// A variable needs a name, and the first `=` ends it.
    #[error("environment variable name {0:?} is empty or contains `=`; give name and value apart")]
    VariableName(String),
    /// A directory cannot be opened.
    #[error("cannot open directory {path:?} for the guest: {errno}")]
    Directory {
        /// The directory on the host.
        path: PathBuf,
        /// What the host said.
        errno: Errno,
    },
    /// A directory is, or lies in, a place that is kept from guests.
    #[error("{path:?} cannot be given to a guest: it is, or lies in, a directory for compiled code or keys")]
    Private {
        /// The directory, as the guest would know it.
        path: PathBuf,
    },
    /// A standard stream or listener is not usable.
    #[error("cannot hand {what} to the guest: {errno}")]
    Descriptor {
        /// Which one.
        what: &'static str,
        /// What the host said.
        errno: Errno,
    },
    /// More was given than the limit of open descriptors allows.
    #[error("more descriptors are given to the guest than its limit of {0} allows; raise the limit")]
    TooMany(u32),
}

/// A buffer that collects what a guest writes; clones share it.
#[derive(Clone, Debug, Default)]
pub struct OutputBuffer(Arc<Mutex<Vec<u8>>>);

impl OutputBuffer {
    /// An empty buffer.
    pub fn new() -> OutputBuffer {
        OutputBuffer::default()
    }

    /// What was written so far.
    pub fn contents(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// Gathers what a guest is given. Without more said it has no arguments, an empty environment, empty standard input and
/// standard output and error that swallow everything. Directories and listeners get descriptors from 3 on, in the order
/// in which they are given.
#[derive(Debug)]
pub struct WasiCtxBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    stdio: [Descriptor; 3],
    preopens: Vec<Descriptor>,
    private: Vec<Private>,
    network: Network,
    max_fds: u32,
}

impl Default for WasiCtxBuilder {
    fn default() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }
}

fn without_nul(what: &'static str, text: &OsStr) -> Result<Vec<u8>, BuildError> {
    let bytes = text.as_bytes();
    if bytes.contains(&0) {
        return Err(BuildError::Nul { what, text: text.to_string_lossy().into_owned() });
    }
    Ok(bytes.to_vec())
}

impl WasiCtxBuilder {
    /// Nothing given yet.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder {
            args: Vec::new(),
            env: Vec::new(),
            stdio: [Descriptor::null(), Descriptor::null(), Descriptor::null()],
            preopens: Vec::new(),
            private: Vec::new(),
            network: Network::default(),
            max_fds: DEFAULT_MAX_FDS,
        }
    }

    /// Adds an argument; the first is the program's name.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> Result<&mut Self, BuildError> {
        self.args.push(without_nul("argument", arg.as_ref())?);
        Ok(self)
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(&mut self, args: impl IntoIterator<Item = S>) -> Result<&mut Self, BuildError> {
        for arg in args {
            self.arg(arg)?;
        }
        Ok(self)
    }

    /// Sets a variable of the environment; a later value of the same name replaces an earlier one.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Result<&mut Self, BuildError> {
        let mut variable = without_nul("environment variable", name.as_ref())?;
        if variable.is_empty() || variable.contains(&b'=') {
            return Err(BuildError::VariableName(name.as_ref().to_string_lossy().into_owned()));
        }
        variable.push(b'=');
        self.env.retain(|old| !old.starts_with(&variable));
        variable.extend(without_nul("environment variable", value.as_ref())?);
        self.env.push(variable);
        Ok(self)
    }

    /// Passes on the whole environment of this process.
    pub fn inherit_env(&mut self) -> Result<&mut Self, BuildError> {
        for (name, value) in std::env::vars_os() {
            // The system lets names begin with `=`; no guest could look one up.
            if !name.as_bytes().contains(&b'=') && !name.is_empty() {
                self.env(name, value)?;
            }
        }
        Ok(self)
    }

    /// Passes on this process's standard streams. One that is closed here is empty or swallows everything there.
    pub fn inherit_stdio(&mut self) -> Result<&mut Self, BuildError> {
        self.inherit_stdin()?.inherit_stdout()?.inherit_stderr()
    }

    /// Passes on this process's standard input.
    pub fn inherit_stdin(&mut self) -> Result<&mut Self, BuildError> {
        self.inherit(0, "standard input", sys::duplicate(rustix::stdio::stdin()))
    }

    /// Passes on this process's standard output.
    pub fn inherit_stdout(&mut self) -> Result<&mut Self, BuildError> {
        self.inherit(1, "standard output", sys::duplicate(rustix::stdio::stdout()))
    }

    /// Passes on this process's standard error.
    pub fn inherit_stderr(&mut self) -> Result<&mut Self, BuildError> {
        self.inherit(2, "standard error", sys::duplicate(rustix::stdio::stderr()))
    }

    fn inherit(
        &mut self,
        index: usize,
        what: &'static str,
        fd: rustix::io::Result<OwnedFd>,
    ) -> Result<&mut Self, BuildError> {
        self.stdio[index] = match fd {
            Err(rustix::io::Errno::BADF) => Descriptor::null(),
            fd => {
                let fd = fd.map_err(|host| BuildError::Descriptor { what, errno: host.into() })?;
                describe_shared(fd).map_err(|errno| BuildError::Descriptor { what, errno })?
            }
        };
        Ok(self)
    }

    /// Makes a pipe, file or other descriptor the standard input.
    pub fn stdin_fd(&mut self, fd: impl Into<OwnedFd>) -> Result<&mut Self, BuildError> {
        self.inherit(0, "standard input", Ok(fd.into()))
    }

    /// Makes a pipe, file or other descriptor the standard output.
    pub fn stdout_fd(&mut self, fd: impl Into<OwnedFd>) -> Result<&mut Self, BuildError> {
        self.inherit(1, "standard output", Ok(fd.into()))
    }

    /// Makes a pipe, file or other descriptor the standard error.
    pub fn stderr_fd(&mut self, fd: impl Into<OwnedFd>) -> Result<&mut Self, BuildError> {
        self.inherit(2, "standard error", Ok(fd.into()))
    }

    /// Gives bytes as the standard input.
    pub fn stdin_bytes(&mut self, bytes: impl Into<Arc<[u8]>>) -> &mut Self {
        self.stdio[0] = Descriptor::new(Object::Input(bytes.into(), 0), FileType::Unknown);
        self
    }

    /// Collects the standard output.
    pub fn stdout_buffer(&mut self, buffer: &OutputBuffer) -> &mut Self {
        self.stdio[1] = Descriptor::new(Object::Output(buffer.0.clone()), FileType::Unknown);
        self
    }

    /// Collects the standard error.
    pub fn stderr_buffer(&mut self, buffer: &OutputBuffer) -> &mut Self {
        self.stdio[2] = Descriptor::new(Object::Output(buffer.0.clone()), FileType::Unknown);
        self
    }

    /// Gives a directory of the host under a name of the guest's. With `read_only` nothing below it can be changed.
    pub fn preopened_dir(
        &mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl Into<String>,
        read_only: bool,
    ) -> Result<&mut Self, BuildError> {
        let guest_path = guest_path.into();
        without_nul("guest path", OsStr::new(&guest_path))?;
        let host_path = host_path.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, host_path, flags, Mode::empty())
            .map_err(|host| BuildError::Directory { path: host_path.to_owned(), errno: host.into() })?;
        let failed = |errno| BuildError::Directory { path: host_path.to_owned(), errno };
        let stat = fstat(&fd).map_err(|host| failed(host.into()))?;
        let directory = Directory::new(Dir::from_std_file(fd.into()), Some(guest_path), None, &stat).map_err(failed)?;
        let mut descriptor = Descriptor::new(Object::Dir(directory), FileType::Directory);
        descriptor.read_only = read_only;
        self.preopens.push(descriptor);
        Ok(self)
    }

    /// Gives a listening socket (a `TcpListener` or `UnixListener`), on which the guest can accept connections.
    pub fn preopened_listener(&mut self, listener: impl Into<OwnedFd>) -> Result<&mut Self, BuildError> {
        let descriptor = Descriptor::listener(listener.into())
            .map_err(|errno| BuildError::Descriptor { what: "a listener", errno })?;
        self.preopens.push(descriptor);
        Ok(self)
    }

    /// Gives a connected socket, of a stream or of datagrams.
    pub fn preopened_socket(&mut self, socket: impl Into<OwnedFd>) -> Result<&mut Self, BuildError> {
        let descriptor = Descriptor::socket_from_host(socket.into())
            .map_err(|errno| BuildError::Descriptor { what: "a socket", errno })?;
        self.preopens.push(descriptor);
        Ok(self)
    }

    /// Keeps a directory and all that is in it from the guest, whatever directories it is given and whatever links and names it makes:
    /// compiled code, keys, sockets of this process. It is made if it is missing and lies in a directory that is given.
    pub fn private_dir(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.private.push(Private::Directory(path.into()));
        self
    }

    /// Keeps a single file from the guest likewise, there or not.
    pub fn private_file(&mut self, path: impl Into<PathBuf>) -> &mut Self {
        self.private.push(Private::File(path.into()));
        self
    }

    /// Lets the guest use a part of the network.
    pub fn network(&mut self, grant: Grant) -> &mut Self {
        self.network.grant(grant);
        self
    }

    /// Has `f` told whenever the guest is refused the network for want of a grant.
    pub fn on_network_refusal(&mut self, f: impl FnMut(&Refusal) + Send + 'static) -> &mut Self {
        self.network.on_refusal(Box::new(f));
        self
    }

    /// Limits how many descriptors the guest may have open, counting what it is given.
    pub fn max_fds(&mut self, limit: u32) -> &mut Self {
        self.max_fds = limit;
        self
    }

    /// Makes the context; the builder is empty afterwards.
    pub fn build(&mut self) -> Result<WasiCtx, BuildError> {
        let WasiCtxBuilder { args, env, stdio, mut preopens, private, mut network, max_fds } = std::mem::take(self);
        keep_private(&mut preopens, &private)?;
        network.find_sockets();
        let mut table = FdTable::new(max_fds);
        for descriptor in stdio.into_iter().chain(preopens) {
            table.insert(descriptor).map_err(|_| BuildError::TooMany(max_fds))?;
        }
        Ok(WasiCtx { args, env, table, network, poller: Pollers::default() })
    }
}

/// Has directories know which places in them are forbidden.
fn keep_private(preopens: &mut [Descriptor], private: &[Private]) -> Result<(), BuildError> {
    let directories = preopens.iter_mut().filter_map(|descriptor| match &mut descriptor.object {
        Object::Dir(directory) => Some(directory),
        _ => None,
    });
    let mut directories: Vec<&mut Directory> = directories.collect();
    if private.is_empty() || directories.is_empty() {
        return Ok(());
    }
    let given = directories.iter().map(|directory| Ok(id(&fstat(&directory.dir)?)));
    let given: Vec<Id> =
        given.collect::<Result<_, Errno>>().map_err(|errno| BuildError::Descriptor { what: "a directory", errno })?;
    let forbidden = Arc::new(Forbidden::new(private, &given));
    for (directory, id) in directories.iter_mut().zip(given) {
        let path = || directory.preopen.clone().unwrap_or_default().into();
        forbidden.check_dir(&directory.dir).map_err(|errno| match errno {
            Errno::Acces => BuildError::Private { path: path() },
            errno => BuildError::Directory { path: path(), errno },
        })?;
        directory.forbidden = forbidden.is_below(id).then(|| forbidden.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_can_move_between_threads() {
        fn is_send<T: Send>(_: &T) {}
        is_send(&WasiCtxBuilder::new().build().unwrap());
    }

    #[test]
    fn bad_strings_are_refused() {
        let mut builder = WasiCtxBuilder::new();
        assert!(matches!(builder.arg("a\0b"), Err(BuildError::Nul { .. })));
        assert!(matches!(builder.env("A=B", ""), Err(BuildError::VariableName(_))));
        assert!(matches!(builder.env("", ""), Err(BuildError::VariableName(_))));
        assert!(matches!(builder.env("A", "\0"), Err(BuildError::Nul { .. })));
        let missing = builder.preopened_dir("/no/such/directory", "/", false).unwrap_err();
        assert!(missing.to_string().contains("/no/such/directory"), "{missing}");
    }

    #[test]
    fn variables_replace_those_of_the_same_name() {
        let mut builder = WasiCtxBuilder::new();
        builder.env("A", "1").unwrap().env("AB", "2").unwrap().env("A", "3").unwrap();
        let ctx = builder.build().unwrap();
        assert_eq!(ctx.env, [b"AB=2".to_vec(), b"A=3".to_vec()]);
    }

    #[test]
    fn the_limit_counts_what_is_given() {
        let mut builder = WasiCtxBuilder::new();
        builder.max_fds(2);
        assert!(matches!(builder.build(), Err(BuildError::TooMany(2))));
    }
}
