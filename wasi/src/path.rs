//! Resolving guest paths. In: a directory descriptor and a relative path; out: a host directory and one name in it.
//! Invariant: what reaches the kernel outside of cap-std's own resolution is a single component without a slash that is
//! neither `.` nor `..`, used with calls that do not follow a link. So no path, link or concurrent rename leads out.

use std::borrow::Cow;
use std::os::fd::{AsFd, BorrowedFd};

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, readlinkat, statat};
use rustix::io::Errno as Host;

use crate::Errno;
use crate::descriptor::Directory;

/// Where a path points, as far as its last component.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    base: &'a Directory,
    /// The directory of the last component, when it is not `base` itself.
    parent: Option<Dir>,
    /// The whole path, which only cap-std resolves.
    pub(crate) path: &'a str,
    /// The last component, unless that is `.` or `..`.
    pub(crate) name: Option<&'a str>,
    /// Whether slashes follow the last component: only a directory will do then, and a link to one counts.
    pub(crate) slash: bool,
}

/// The host's limit on paths, without the NUL. It is checked here so that nothing longer is ever copied.
const MAX_PATH: usize = 4095;

/// Checks what no path may be: empty, absolute, too long, or with a NUL inside.
pub(crate) fn check(path: &str) -> Result<(), Errno> {
    match path.as_bytes() {
        [] => Err(Errno::NoEnt),
        [b'/', ..] => Err(Errno::Perm),
        bytes if bytes.len() > MAX_PATH => Err(Errno::NameTooLong),
        bytes if bytes.contains(&0) => Err(Errno::Inval),
        _ => Ok(()),
    }
}

/// A path whose last component is no link, where what a link leads to has to be looked at: each link is followed here, one at a time.
/// Otherwise the path as it is. Also whether links remain to be followed.
pub(crate) fn straighten<'a>(base: &Directory, path: &'a str, follow: bool) -> Result<(Cow<'a, str>, bool), Errno> {
    /// As the host counts.
    const MOST_LINKS: usize = 40;
    let mut path = Cow::Borrowed(path);
    if base.forbidden.is_none() || !follow {
        return Ok((path, follow));
    }
    for _ in 0..=MOST_LINKS {
        let place = Place::find(base, &path)?;
        let Some(name) = place.plain()? else { return Ok((path, false)) };
        let target = match readlinkat(place.dir(), name, Vec::new()) {
            Err(Host::INVAL | Host::NOENT) => return Ok((path, false)),
            target => target?,
        };
        let target = target.to_str().map_err(|_| Errno::Ilseq)?;
        if target.starts_with('/') {
            return Err(Errno::Perm);
        }
        let above = path.rfind('/').map_or("", |slash| &path[..=slash]);
        path = Cow::Owned(format!("{above}{target}"));
    }
    Err(Errno::Loop)
}

impl<'a> Place<'a> {
    /// Resolves all of `path` but its last component.
    pub(crate) fn find(base: &'a Directory, path: &'a str) -> Result<Place<'a>, Errno> {
        check(path)?;
        let trimmed = path.trim_end_matches('/');
        let slash = trimmed.len() != path.len();
        let (above, last) = match trimmed.rsplit_once('/') {
            Some((above, last)) => (Some(above), last),
            None => (None, trimmed),
        };
        let name = (last != "." && last != "..").then_some(last);
        let parent = match (above, name) {
            (Some(above), Some(_)) => Some(base.open_dir(above)?),
            _ => None,
        };
        Ok(Place { base, parent, path, name, slash })
    }

    /// The directory that holds the last component.
    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.parent.as_ref().unwrap_or(&self.base.dir).as_fd()
    }

    /// The last component, for operations on the name itself. A path that ends in `.` or `..` names a directory that is
    /// there already (or lies outside, which is found out here); the operation then fails with `dots`.
    pub(crate) fn name(&self, dots: Errno) -> Result<&'a str, Errno> {
        match self.name {
            Some(name) => self.permitted(name),
            None => {
                self.base.open_dir(self.path)?;
                Err(dots)
            }
        }
    }

    /// The last component, for operations on what it names; `None` where only a directory will do.
    pub(crate) fn plain(&self) -> Result<Option<&'a str>, Errno> {
        self.name.filter(|_| !self.slash).map(|name| self.permitted(name)).transpose()
    }

    fn permitted(&self, name: &'a str) -> Result<&'a str, Errno> {
        if let Some(forbidden) = &self.base.forbidden {
            forbidden.check_name(self.dir(), name)?;
        }
        Ok(name)
    }

    /// For operations that take a name away or have it stand for something else: those on the way to what is forbidden stay.
    pub(crate) fn may_change(&self, name: &str) -> Result<(), Errno> {
        self.base.forbidden.as_ref().map_or(Ok(()), |forbidden| forbidden.check_fixed(self.dir(), name))
    }

    /// What kind of file the last component is, links not followed.
    pub(crate) fn kind(&self, name: &str) -> Result<FileType, Errno> {
        let stat = statat(self.dir(), name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }

    /// For operations that make a new name which is not a directory: with slashes behind it that can never work, and
    /// the failure tells what is there.
    pub(crate) fn refuse_slash_on_new_name(&self, name: &str) -> Result<(), Errno> {
        if !self.slash {
            return Ok(());
        }
        match self.kind(name)? {
            FileType::Directory => Err(Errno::Exist),
            _ => Err(Errno::NotDir),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readdir::Cookies;

    fn scratch() -> (tempfile::TempDir, Directory) {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(temp.path().join("in/a/b")).unwrap();
        std::fs::write(temp.path().join("outside"), "secret").unwrap();
        let file = std::fs::File::open(temp.path().join("in")).unwrap();
        let dir = Dir::from_std_file(file);
        (temp, Directory { dir, preopen: None, forbidden: None, plain: None, cookies: Cookies::default() })
    }

    #[test]
    fn the_last_component_is_split_off() {
        let (_temp, dir) = scratch();
        for (path, name, slash) in [
            ("x", Some("x"), false),
            ("x//", Some("x"), true),
            ("a/./b/../x", Some("x"), false),
            ("a//b///", Some("b"), true),
            (".", None, false),
            ("a/..", None, false),
            ("./", None, true),
        ] {
            let place = Place::find(&dir, path).unwrap();
            assert_eq!((place.name, place.slash), (name, slash), "{path}");
        }
    }

    #[test]
    fn bad_paths_and_ways_out_are_refused() {
        let (_temp, dir) = scratch();
        for (path, errno) in [
            ("", Errno::NoEnt),
            ("/", Errno::Perm),
            ("/etc/passwd", Errno::Perm),
            ("a\0b", Errno::Inval),
            ("../outside", Errno::Perm),
            ("a/../../outside", Errno::Perm),
            ("missing/x", Errno::NoEnt),
            (&"./".repeat(5000), Errno::NameTooLong),
        ] {
            assert_eq!(Place::find(&dir, path).err(), Some(errno), "{path:?}");
        }
        let place = Place::find(&dir, "a/../..").unwrap();
        assert_eq!(place.name(Errno::Exist), Err(Errno::Perm));
        let place = Place::find(&dir, "a/..").unwrap();
        assert_eq!(place.name(Errno::Exist), Err(Errno::Exist));
    }
}
