//! The kernels: which there are, where their modules lie, and the native programs they are compared with.
//!
//! In: the repository's root, found from the current directory unless given. Out: paths. Invariant: a `Kernel` that is
//! handed out has a module on disk; a native program is handed out only if it is not older than its source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::process;

/// The kernel that does nothing but print a line; it is measured by `startup` and probes engines.
pub(crate) const HELLO: &str = "hello";
/// What `hello` prints.
pub(crate) const HELLO_OUTPUT: &[u8] = b"Hello, world!\n";

/// Compiling a kernel with a cold compiler cache takes a while.
const BUILD_LIMIT: Duration = Duration::from_secs(600);

/// The directories of the benchmark.
#[derive(Debug, Clone)]
pub(crate) struct Directories {
    bench: PathBuf,
}

/// One program to measure.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) name: String,
    pub(crate) wasm: PathBuf,
    /// The native program, if it could be built.
    pub(crate) native: Option<PathBuf>,
    /// What it has to print at the small scale, as far as that is known beforehand.
    pub(crate) expected: Option<Vec<u8>>,
}

impl Directories {
    /// Looks for `bench/kernels` in `root`, or else in the current directory and those above it.
    pub(crate) fn find(root: Option<&Path>) -> Result<Self> {
        let start = match root {
            Some(root) => root.to_owned(),
            None => std::env::current_dir().map_err(|source| Error::File { path: PathBuf::from("."), source })?,
        };
        let above = if root.is_some() { 1 } else { usize::MAX };
        start
            .ancestors()
            .take(above)
            .map(|directory| directory.join("bench"))
            .find(|bench| bench.join("kernels/wasm").is_dir())
            .map(|bench| Self { bench })
            .ok_or_else(|| Error::NoKernels { start: start.clone() })
    }

    /// Where compiled artifacts of engines may be written.
    pub(crate) fn artifacts(&self) -> Result<PathBuf> {
        let path = self.bench.join("out/artifacts");
        fs::create_dir_all(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        Ok(path)
    }

    /// Guests that use the network.
    pub(crate) fn guests(&self) -> PathBuf {
        self.bench.join("../wasi/tests/net/guests")
    }

    /// All kernels except `hello`, in alphabetical order.
    pub(crate) fn all(&self) -> Result<Vec<Kernel>> {
        let directory = self.bench.join("kernels/wasm");
        let failed = |source| Error::File { path: directory.clone(), source };
        let mut names = Vec::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "wasm")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                && name != HELLO
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names.iter().map(|name| self.kernel(name)).collect())
    }

    /// The named kernels in the order of the names, or all when there are none.
    pub(crate) fn select(&self, names: &[String]) -> Result<Vec<Kernel>> {
        pick(&self.all()?, names)
    }

    /// The programs on garbage-collected objects, in alphabetical order.
    pub(crate) fn gc(&self) -> Result<Vec<Kernel>> {
        let directory = self.bench.join("gc");
        let read = |path: &Path| fs::read_to_string(path).map_err(|source| Error::File { path: path.into(), source });
        let checksums = read(&directory.join("checksums.txt"))?;
        let program = |line: &str| {
            let name = line.split(' ').next().unwrap_or_default();
            Kernel {
                name: name.to_owned(),
                wasm: directory.join(format!("{name}.wat")),
                native: None,
                expected: Some(format!("{line}\n").into_bytes()),
            }
        };
        Ok(checksums.lines().map(program).collect())
    }

    /// A kernel by name; whether it exists is not checked.
    pub(crate) fn kernel(&self, name: &str) -> Kernel {
        let native = self.native_path(name);
        let fresh = !self.is_stale(name, &native);
        Kernel {
            name: name.to_owned(),
            wasm: self.bench.join("kernels/wasm").join(format!("{name}.wasm")),
            native: fresh.then_some(native),
            expected: self.expected(name),
        }
    }

    /// The line of `checksums.txt` that begins with the name.
    fn expected(&self, name: &str) -> Option<Vec<u8>> {
        if name == HELLO {
            return Some(HELLO_OUTPUT.to_vec());
        }
        let lines = fs::read_to_string(self.bench.join("kernels/checksums.txt")).ok()?;
        let line = lines.lines().find(|line| line.split(' ').next() == Some(name))?;
        Some(format!("{line}\n").into_bytes())
    }

    /// Builds the native programs that are missing or older than their source, if there is a compiler; says which were
    /// built.
    pub(crate) fn build_native(&self, kernels: &mut [Kernel]) -> Result<Vec<String>> {
        let missing: Vec<String> = kernels.iter().filter(|k| k.native.is_none()).map(|k| k.name.clone()).collect();
        if missing.is_empty() || crate::engines::on_path("zig").is_none() {
            return Ok(Vec::new());
        }
        let mut build = Command::new(self.bench.join("kernels/build.sh"));
        let outcome = process::run(build.args(&missing), BUILD_LIMIT)?;
        if !outcome.status.success() {
            return Err(Error::Build { status: outcome.status.to_string(), stderr: outcome.stderr });
        }
        for kernel in kernels {
            *kernel = self.kernel(&kernel.name);
        }
        Ok(missing)
    }

    fn native_path(&self, name: &str) -> PathBuf {
        self.bench.join("out/native").join(name)
    }

    /// A program is stale when it is missing or when its source, or a header, is younger.
    fn is_stale(&self, name: &str, native: &Path) -> bool {
        let sources = self.bench.join("kernels");
        let Some(built) = modified(native) else { return true };
        [format!("{name}.c"), "kernel.h".to_owned(), "text.h".to_owned()]
            .iter()
            .any(|file| modified(&sources.join(file)).is_some_and(|changed| changed > built))
    }
}

/// The named ones in the order of the names, or all when there are no names.
pub(crate) fn pick(all: &[Kernel], names: &[String]) -> Result<Vec<Kernel>> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    let find = |name: &String| {
        all.iter().find(|kernel| kernel.name == *name).cloned().ok_or_else(|| Error::UnknownKernel {
            name: name.clone(),
            known: all.iter().map(|kernel| kernel.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    };
    names.iter().map(find).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories() -> Directories {
        Directories::find(None).expect("tests run inside the repository")
    }

    #[test]
    fn every_kernel_has_a_source_and_a_module() {
        let directories = directories();
        let kernels = directories.all().unwrap();
        assert!(kernels.len() >= 18, "{}", kernels.len());
        for kernel in kernels {
            let source = directories.bench.join("kernels").join(format!("{}.c", kernel.name));
            assert!(source.is_file(), "{} is missing", source.display());
            assert_eq!(&fs::read(&kernel.wasm).unwrap()[..4], b"\0asm", "{}", kernel.name);
            assert!(kernel.expected.is_some(), "{} is not in checksums.txt", kernel.name);
        }
    }

    #[test]
    fn every_program_on_objects_has_a_checksum() {
        let directories = directories();
        let programs = directories.gc().unwrap();
        let sources = fs::read_dir(directories.bench.join("gc")).unwrap();
        let is_text = |e: &fs::DirEntry| e.path().extension().is_some_and(|e| e == "wat");
        assert_eq!(sources.flatten().filter(is_text).count(), programs.len());
        assert!(programs.iter().all(|p| p.wasm.is_file()));
    }

    #[test]
    fn selection_keeps_the_order_and_names_what_it_does_not_know() {
        let directories = directories();
        let picked = directories.select(&["tak".to_owned(), "fib".to_owned()]).unwrap();
        assert_eq!(picked.iter().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["tak", "fib"]);
        let error = directories.select(&["absent".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`absent`") && error.contains("fib"), "{error}");
    }

    #[test]
    fn a_root_without_kernels_is_an_error() {
        let error = Directories::find(Some(Path::new("/"))).unwrap_err();
        assert!(matches!(error, Error::NoKernels { .. }));
    }
}
