//! A guest with a directory, and what lies beside it.
//!
//! In: bytes that are a list of operations on paths, with paths made of names that lead somewhere, links the host made, and arbitrary text.
//! Property: nothing outside of the directory is changed, read, or known by its number, whatever the operations do.

use crate::support::Rng;
use arbitrary::{Arbitrary, Unstructured};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use wasi::{Errno, GuestMemory, WasiCtx, WasiCtxBuilder};

const OUT: u32 = 64;
const IOVECS: u32 = 1024;
const PATH: u32 = 8 << 10;
const OTHER: u32 = 24 << 10;
const DATA: u32 = 40 << 10;
const DATA_LEN: u32 = 4096;
/// What no guest may ever read.
const SECRET: &[u8] = b"<what lies outside>";
/// Names that lead somewhere in the scene, or would like to.
const NAMES: [&str; 24] = [
    "",
    ".",
    "..",
    "a",
    "b",
    "dir",
    "dir/file",
    "file",
    "up",
    "up/out",
    "../out",
    "out",
    "secret",
    "absolute",
    "within",
    "loop",
    "deep",
    "proc",
    "to-secret",
    "dangling",
    "proc/self/root",
    "dir/up-two",
    "new",
    "in",
];

/// What a guest asks for.
#[derive(Arbitrary, Debug)]
enum Action {
    Open { lookup: u8, oflags: u8, rights: u64, inheriting: u64, fdflags: u8 },
    Read,
    Write { len: u8 },
    List { cookie: u8 },
    Close,
    Renumber,
    CreateDirectory,
    RemoveDirectory,
    Unlink,
    Stat { lookup: u8 },
    SetTimes { lookup: u8, flags: u8 },
    Link { lookup: u8 },
    Rename,
    Symlink,
    ReadLink,
    FdStat,
    SetSize { size: u16 },
    Allocate { len: u16 },
}

/// The scene: `in` is the guest's, `out` is not.
struct Scene {
    temp: PathBuf,
    /// What is outside, by number, and how it looks.
    outside: BTreeMap<u64, String>,
}

struct Guest {
    ctx: WasiCtx,
    memory: Vec<u8>,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// A directory that is removed at the end.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lets a guest loose in a directory.
pub fn wasi_paths(data: &[u8]) {
    PLACE.with_borrow_mut(|place| {
        let place = place.get_or_insert_with(|| {
            let mut rng = Rng::new(u64::from(std::process::id()));
            let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_alphanumeric(), "");
            Place(std::env::temp_dir().join(format!("vm-fuzz-paths-{thread}-{:x}", rng.next())))
        });
        let scene = Scene::new(&place.0);
        for read_only in [false, true] {
            let mut guest = Guest::new(&scene, read_only);
            let mut u = Unstructured::new(data);
            for _ in 0..40 {
                if u.is_empty() || guest.act(&mut u, &scene).is_none() {
                    break;
                }
            }
        }
        assert_eq!(scene.outside, look(&scene.temp), "something outside has changed");
    });
}

impl Scene {
    fn new(temp: &Path) -> Scene {
        let _ = fs::remove_dir_all(temp);
        let (inside, out) = (temp.join("in"), temp.join("out"));
        for dir in [inside.join("dir"), inside.join("deep/er"), out.join("dir")] {
            fs::create_dir_all(dir).expect("a directory");
        }
        for (file, contents) in [("in/file", &b"inside"[..]), ("in/dir/file", b"deeper"), ("out/secret", SECRET)] {
            fs::write(temp.join(file), contents).expect("a file");
        }
        fs::write(out.join("dir/file"), SECRET).expect("a file");
        let secret = out.join("secret");
        let links: [(&Path, &str); 10] = [
            (Path::new(".."), "up"),
            (&secret, "absolute"),
            (Path::new("dir/file"), "within"),
            (Path::new("loop"), "loop"),
            (Path::new("/proc"), "proc"),
            (Path::new("../out/secret"), "to-secret"),
            (Path::new("nowhere"), "dangling"),
            (Path::new("../../out"), "dir/up-two"),
            (Path::new("../up"), "deep/a"),
            (Path::new("er/../../../out"), "deep/b"),
        ];
        for (target, name) in links {
            symlink(target, inside.join(name)).expect("a link");
        }
        Scene { temp: temp.into(), outside: look(temp) }
    }
}

/// All that is outside of the guest's directory: number, links, mode, owner, size, times, names and contents.
fn look(temp: &Path) -> BTreeMap<u64, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![temp.to_path_buf()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).expect("what was there is there");
        let times = (stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec());
        let mut text = format!("{path:?} {:o} {} {} {times:?} ", stat.mode(), stat.nlink(), stat.size());
        if stat.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory").map(|e| e.expect("an entry").path());
            let mut entries: Vec<_> = entries.collect();
            entries.sort();
            text.push_str(&format!("{entries:?}"));
            todo.extend(entries.into_iter().filter(|e| *e != temp.join("in")));
        } else {
            text.push_str(&format!("{:?}", fs::read(&path)));
        }
        found.insert(stat.ino(), text);
    }
    found
}

/// A path: names, often several, sometimes anything.
fn path(u: &mut Unstructured<'_>, scene: &Scene) -> Option<Vec<u8>> {
    let parts = u.int_in_range(1..=5).ok()?;
    let mut path = Vec::new();
    for i in 0..parts {
        if i > 0 {
            path.push(b'/');
        }
        match u.int_in_range(0..=40u8).ok()? {
            n @ 0..=23 => path.extend(NAMES[usize::from(n)].as_bytes()),
            24 => path.extend(scene.temp.join("out/secret").as_os_str().as_encoded_bytes()),
            25 => path.extend([b'x'; 300]),
            26 => path.extend(b"../".repeat(40)),
            27 => path.extend(b"/proc/self/root"),
            28 => path.push(b'/'),
            29 => path.extend(<&[u8]>::arbitrary(u).ok()?),
            n => path.extend(NAMES[usize::from(n - 28)].as_bytes()),
        }
        path.truncate(8000);
    }
    Some(path)
}

type Result = std::result::Result<(), Errno>;

impl Guest {
    fn new(scene: &Scene, read_only: bool) -> Guest {
        let mut builder = WasiCtxBuilder::new();
        builder.preopened_dir(scene.temp.join("in"), "/", read_only).expect("a directory");
        builder.preopened_dir(scene.temp.join("in/dir"), "dir", false).expect("a directory");
        builder.max_fds(40);
        Guest { ctx: builder.build().expect("a context"), memory: vec![0; 64 << 10] }
    }

    fn call(&mut self, f: impl FnOnce(&mut WasiCtx, &mut GuestMemory<'_>) -> Result) -> Result {
        f(&mut self.ctx, &mut GuestMemory::new(&mut self.memory))
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> u32 {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        bytes.len() as u32
    }

    fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.memory[at as usize..][..8].try_into().expect("8 bytes"))
    }

    /// One action with one or two descriptors and paths; `None` when there is nothing more to do.
    fn act(&mut self, u: &mut Unstructured<'_>, scene: &Scene) -> Option<()> {
        let action = Action::arbitrary(u).ok()?;
        let (fd, other_fd) = (u.int_in_range(2..=10u32).ok()?, u.int_in_range(3..=5u32).ok()?);
        let (first, second) = (path(u, scene)?, path(u, scene)?);
        let (n, m) = (self.put(PATH, &first), self.put(OTHER, &second));
        self.memory[DATA as usize..].fill(0);
        let outcome = self.perform(&action, fd, other_fd, n, m);
        let what = || format!("{action:?} on {fd} {:?}, {:?}", first.escape_ascii(), second.escape_ascii());
        let read = &self.memory[DATA as usize..];
        assert!(!read.windows(SECRET.len()).any(|w| w == SECRET), "{} reads what lies outside", what());
        if outcome.is_ok() && matches!(action, Action::Stat { .. } | Action::FdStat) {
            assert!(!scene.outside.contains_key(&self.u64(OUT + 8)), "{} tells what lies outside", what());
        }
        Some(())
    }

    fn perform(&mut self, action: &Action, fd: u32, other_fd: u32, n: u32, m: u32) -> Result {
        let len = if let Action::Write { len } = *action { len.into() } else { DATA_LEN };
        let buffer: Vec<u8> = [DATA.to_le_bytes(), len.to_le_bytes()].concat();
        self.put(IOVECS, &buffer);
        self.call(|ctx, mem| match *action {
            Action::Open { lookup, oflags, rights, inheriting, fdflags } => {
                let (lookup, oflags, fdflags) =
                    (u32::from(lookup & 1), u32::from(oflags & 15), u32::from(fdflags & 31));
                ctx.path_open(mem, fd, lookup, PATH, n, oflags, rights, inheriting, fdflags, OUT)
            }
            Action::Read => ctx.fd_read(mem, fd, IOVECS, 1, OUT),
            Action::Write { .. } => ctx.fd_write(mem, fd, IOVECS, 1, OUT),
            Action::List { cookie } => ctx.fd_readdir(mem, fd, DATA, DATA_LEN, cookie.into(), OUT),
            Action::Close if fd > 4 => ctx.fd_close(mem, fd),
            Action::Close => Ok(()),
            Action::Renumber => ctx.fd_renumber(mem, other_fd, fd),
            Action::CreateDirectory => ctx.path_create_directory(mem, fd, PATH, n),
            Action::RemoveDirectory => ctx.path_remove_directory(mem, fd, PATH, n),
            Action::Unlink => ctx.path_unlink_file(mem, fd, PATH, n),
            Action::Stat { lookup } => ctx.path_filestat_get(mem, fd, (lookup & 1).into(), PATH, n, OUT),
            Action::SetTimes { lookup, flags } => {
                ctx.path_filestat_set_times(mem, fd, (lookup & 1).into(), PATH, n, 5, 7, (flags & 15).into())
            }
            Action::Link { lookup } => ctx.path_link(mem, fd, (lookup & 1).into(), PATH, n, other_fd, OTHER, m),
            Action::Rename => ctx.path_rename(mem, fd, PATH, n, other_fd, OTHER, m),
            Action::Symlink => ctx.path_symlink(mem, PATH, n, fd, OTHER, m),
            Action::ReadLink => ctx.path_readlink(mem, fd, PATH, n, DATA, DATA_LEN, OUT),
            Action::FdStat => ctx.fd_filestat_get(mem, fd, OUT),
            Action::SetSize { size } => ctx.fd_filestat_set_size(mem, fd, size.into()),
            Action::Allocate { len } => ctx.fd_allocate(mem, fd, 0, len.into()),
        })
    }
}
