//! Where an artifact goes that the user has named a place for.
//!
//! In: a path, or `-`. Out: the artifact there, complete or not at all in a regular file. Invariant: only a regular file that may be
//! written to is replaced, and never the module's own; a link stays one, and what it leads to is treated as if it had been named;
//! a device or pipe is written to.

use rustix::fs::{self, Access, AtFlags, FileType};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A place for an artifact.
#[derive(Debug)]
pub(crate) enum Output {
    /// This process's standard output.
    Standard,
    /// A device or pipe.
    Into(PathBuf),
    /// A regular file that is there, or will be.
    File {
        /// Its name, no link.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

impl Output {
    /// Looks at a place. `input`: device and number of the module's own file.
    ///
    /// # Errors
    /// When nothing may be written there.
    pub(crate) fn at(path: &Path, input: Option<(u64, u64)>) -> io::Result<Output> {
        if path.as_os_str() == "-" {
            return Output::standard();
        }
        let named = match std::fs::symlink_metadata(path) {
            Ok(named) => named,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Output::fresh(path),
            Err(e) => return Err(e),
        };
        let there = match std::fs::metadata(path) {
            Err(e) if named.is_symlink() && e.kind() == io::ErrorKind::NotFound => {
                return Err(refused("it is a link that leads to nothing"));
            }
            there => there?,
        };
        if Some((there.dev(), there.ino())) == input {
            return Err(refused("it is the module itself"));
        }
        if there.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if is_standard_output(&there) {
            return Output::standard();
        }
        if there.is_file() {
            return Output::replaced(path, &named, &there);
        }
        let kind = there.file_type();
        if kind.is_char_device() || kind.is_fifo() {
            return Ok(Output::Into(path.into()));
        }
        Err(refused("it is neither a file nor a pipe nor a character device"))
    }

    fn standard() -> io::Result<Output> {
        if rustix::termios::isatty(rustix::stdio::stdout()) {
            return Err(refused("machine code is not written to a terminal"));
        }
        Ok(Output::Standard)
    }

    fn fresh(path: &Path) -> io::Result<Output> {
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let folder = folder(path);
        if !folder.is_dir() {
            return Err(refused(&format!("there is no directory {}", folder.display())));
        }
        Ok(Output::File { path: path.into(), mode: 0o644 })
    }

    fn replaced(path: &Path, named: &Metadata, there: &Metadata) -> io::Result<Output> {
        // Root may write to every file; one that nobody is meant to write to is protected from root as well.
        if there.mode() & 0o222 == 0 || fs::accessat(fs::CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_err() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
        }
        let path = if named.is_symlink() { std::fs::canonicalize(path)? } else { path.to_path_buf() };
        let same = |m: Metadata| (m.dev(), m.ino()) == (there.dev(), there.ino());
        if !std::fs::symlink_metadata(&path).is_ok_and(same) {
            return Err(refused("it is a link to a file that has no name"));
        }
        Ok(Output::File { path, mode: there.mode() & 0o755 })
    }

    /// Writes the artifact; answers its length.
    ///
    /// # Errors
    /// When it cannot be written; a file that was there is then as it was.
    pub(crate) fn write(&self, artifact: impl FnOnce(&mut dyn Out) -> io::Result<()>) -> io::Result<u64> {
        let path = match self {
            Output::File { path, mode } => return write_file(path, *mode, artifact),
            Output::Into(path) => Some(path),
            Output::Standard => None,
        };
        // What is written last goes to the beginning: only whole can it be passed on.
        let mut whole = io::Cursor::new(Vec::new());
        artifact(&mut whole)?;
        let whole = whole.into_inner();
        match path {
            Some(path) => OpenOptions::new().write(true).open(path)?.write_all(&whole)?,
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&whole).and_then(|()| out.flush())?;
            }
        }
        Ok(whole.len() as u64)
    }
}

/// What an artifact is written to.
pub(crate) trait Out: Write + io::Seek {}
impl<T: Write + io::Seek> Out for T {}

fn is_standard_output(there: &Metadata) -> bool {
    let own = fs::fstat(rustix::stdio::stdout());
    own.is_ok_and(|own| {
        let null = FileType::from_raw_mode(own.st_mode) == FileType::CharacterDevice;
        (own.st_dev, own.st_ino) == (there.dev(), there.ino()) && !null
    })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file beside its place, and moves it there when it is complete.
fn write_file(path: &Path, mode: u32, artifact: impl FnOnce(&mut dyn Out) -> io::Result<()>) -> io::Result<u64> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let temporary = folder(path).join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let file = File::options().write(true).create_new(true).mode(mode).open(&temporary)?;
    let write = || -> io::Result<u64> {
        let mut out = io::BufWriter::with_capacity(256 << 10, &file);
        artifact(&mut out)?;
        out.flush()?;
        drop(out);
        file.sync_data()?;
        std::fs::rename(&temporary, path)?;
        Ok(file.metadata()?.len())
    };
    let written = write();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_what_may_be_replaced_is() {
        let dir = std::env::temp_dir().join(format!("vm-output-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let place = |name: &str| dir.join(name);
        let at = |name: &str| Output::at(&place(name), None);
        std::fs::write(place("file"), "old").unwrap();
        std::fs::write(place("fixed"), "old").unwrap();
        std::fs::set_permissions(place("fixed"), PermissionsExt::from_mode(0o444)).unwrap();
        symlink("file", place("link")).unwrap();
        symlink("nothing", place("dangling")).unwrap();
        fs::mknodat(fs::CWD, place("pipe"), FileType::Fifo, fs::Mode::RUSR | fs::Mode::WUSR, 0).unwrap();
        let own = std::fs::metadata(place("file")).unwrap();
        assert!(Output::at(&place("link"), Some((own.dev(), own.ino()))).is_err(), "the module itself");
        for bad in ["fixed", "dangling", ".", "no/such", "new/"] {
            assert!(at(bad).is_err(), "{bad}");
        }
        assert!(matches!(at("pipe"), Ok(Output::Into(_))));
        let put = |out: &mut dyn Out| out.write_all(b"new");
        for name in ["link", "new"] {
            assert_eq!(at(name).unwrap().write(put).unwrap(), 3);
        }
        assert!(std::fs::symlink_metadata(place("link")).unwrap().is_symlink());
        assert_eq!(std::fs::read(place("file")).unwrap(), b"new");
        // What cannot be written leaves what was there, and nothing beside it.
        let fails = |out: &mut dyn Out| out.write_all(b"x").and(Err(io::ErrorKind::StorageFull.into()));
        let before = std::fs::read_dir(&dir).unwrap().count();
        assert!(at("file").unwrap().write(fails).is_err());
        assert_eq!(std::fs::read(place("file")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), before);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
