//! What lies within a directory that a guest was given, and is nevertheless not its business: places that the embedder keeps to
//! itself (compiled code, keys), and the processes that `/proc` shows.
//!
//! In: paths of such places, and what a guest's path has led to. Out: whether the guest may have it. Invariant: whatever links,
//! names and directories a guest makes, moves or removes, it opens nothing in a forbidden place, and cannot have another take the
//! place of it: no name on the way there can be changed. Directories and files count by device and number, not by name.
//!
//! Guests whose directories have no such place in them pay nothing for this.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat, readlinkat, statat};

use crate::{Errno, sys};

/// What tells a file or directory from all others.
pub(crate) type Id = (u64, u64);

pub(crate) fn id(stat: &Stat) -> Id {
    (stat.st_dev, stat.st_ino)
}

/// Most links in a path, as the host counts.
const MOST_LINKS: usize = 40;

/// How many directories are named at once on the way up.
const STEP: usize = 64;

/// A place that the embedder keeps to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Private {
    /// A directory with all that is in it.
    Directory(PathBuf),
    /// A single file.
    File(PathBuf),
}

/// Places that are forbidden.
#[derive(Debug, Default)]
pub(crate) struct Forbidden {
    /// Directories and files that are.
    places: HashSet<Id>,
    /// Their names, each with the directory that it is in.
    names: HashSet<(Id, OsString)>,
    /// All names on the way there, likewise.
    ways: HashSet<(Id, OsString)>,
    /// Directories on the way there.
    above: HashSet<Id>,
}

impl Forbidden {
    /// Finds the places. What is missing on the way to one is made where it lies in one of the `given` directories, so that no guest
    /// makes it.
    pub(crate) fn new(private: &[Private], given: &[Id]) -> Forbidden {
        let mut forbidden = Forbidden::default();
        let mut known = Known::default();
        for (i, place) in private.iter().enumerate() {
            if private[..i].contains(place) {
                continue;
            }
            let (path, file) = match place {
                Private::Directory(path) => (path, false),
                Private::File(path) => (path, true),
            };
            // Where the way cannot be walked or made, the guest, who may no more than this process, cannot walk or make it.
            let _ = forbidden.walk(&mut known, path, file, given);
        }
        forbidden
    }

    /// Walks a path name by name, links included.
    fn walk(&mut self, known: &mut Known, path: &Path, file: bool, given: &[Id]) -> rustix::io::Result<()> {
        let absolute = std::path::absolute(path).map_err(|_| rustix::io::Errno::INVAL)?;
        let mut rest: Vec<OsString> = names(&absolute);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let here = id(&known.stat(&at)?);
            self.above.insert(here);
            self.ways.insert((here, name.clone()));
            if rest.is_empty() {
                self.names.insert((here, name.clone()));
            }
            let next = at.join(&name);
            let stat = match known.stat(&next) {
                Err(rustix::io::Errno::NOENT)
                    if (!file || !rest.is_empty()) && given.iter().any(|dir| self.above.contains(dir)) =>
                {
                    mkdirat(CWD, &next, Mode::RWXU)?;
                    known.stat(&next)?
                }
                stat => stat?,
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                links += 1;
                if links > MOST_LINKS {
                    return Err(rustix::io::Errno::LOOP);
                }
                let target = readlinkat(CWD, &next, Vec::new())?;
                let target = Path::new(OsStr::from_bytes(target.to_bytes()));
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                rest.extend(names(target));
                continue;
            }
            if rest.is_empty() {
                self.places.insert(id(&stat));
            }
            at = next;
        }
        Ok(())
    }

    /// Whether one of the places may be in a directory.
    pub(crate) fn is_below(&self, dir: Id) -> bool {
        self.above.contains(&dir)
    }

    /// Fails if a directory is a forbidden place, or lies in one.
    pub(crate) fn check_dir(&self, dir: impl AsFd) -> Result<(), Errno> {
        let mut base: Option<OwnedFd> = None;
        let mut last = None;
        loop {
            let from: BorrowedFd<'_> = base.as_ref().map_or(dir.as_fd(), AsFd::as_fd);
            let mut path = String::from(".");
            for _ in 0..STEP {
                let here = id(&statat(from, &path, AtFlags::empty())?);
                if self.places.contains(&here) {
                    return Err(Errno::Acces);
                }
                if last == Some(here) {
                    return Ok(());
                }
                last = Some(here);
                path.push_str("/..");
            }
            last = None;
            base = Some(openat(from, &path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        }
    }

    /// Fails if a name in a directory is that of a forbidden place, or another name of it.
    pub(crate) fn check_name(&self, dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        let entry = (id(&fstat(dir)?), OsString::from(name));
        let there = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let forbidden = self.names.contains(&entry) || there.is_ok_and(|stat| self.places.contains(&id(&stat)));
        if forbidden { Err(Errno::Acces) } else { Ok(()) }
    }

    /// Fails if a name leads to a forbidden place, so that it must stay as it is.
    pub(crate) fn check_fixed(&self, dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        let entry = (id(&fstat(dir)?), OsString::from(name));
        if self.ways.contains(&entry) { Err(Errno::Acces) } else { Ok(()) }
    }
}

/// Paths without links that have been looked at: those of several places mostly begin alike.
#[derive(Default)]
struct Known(Vec<(PathBuf, Stat)>);

impl Known {
    fn stat(&mut self, path: &Path) -> rustix::io::Result<Stat> {
        if let Some((_, stat)) = self.0.iter().find(|(known, _)| known == path) {
            return Ok(*stat);
        }
        let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
        self.0.push((path.to_path_buf(), stat));
        Ok(stat)
    }
}

/// The names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

/// Fails if what was opened is one of the files and directories by which `/proc` shows and changes processes, this one included, or
/// memory; or if it is there and can be written to. `plain`: a device that shows none.
pub(crate) fn check_process(file: &OwnedFd, stat: &Stat, plain: Option<u64>, write: bool) -> Result<(), Errno> {
    if plain == Some(stat.st_dev) || !sys::shows_processes(file.as_fd())? {
        return Ok(());
    }
    let path = sys::name_of(file.as_fd());
    let of_process = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit) || name == "kcore";
    let forbidden = write || path.is_none_or(|path| path.iter().any(of_process));
    if forbidden { Err(Errno::Acces) } else { Ok(()) }
}
