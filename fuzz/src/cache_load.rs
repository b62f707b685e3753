//! Files of compiled code that somebody has tampered with.
//!
//! In: bytes that say what happens to an entry of the cache, to the link that leads to it, or to an artifact. Property: the file is
//! refused or it is what was written; either way the module behaves as it should. Of an artifact the digests, which need
//! no key, may be put right again: then its signature must be found wrong.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use vm::{Cache, Config, Engine, Linker, Module, Store, Tier, Val};

const TEXT: &str = r#"(module $kept
    (type $binary (func (param i32 i32) (result i32)))
    (memory (export "memory") 2) (table 8 funcref) (global $count (mut i64) (i64.const 40))
    (elem (i32.const 1) $add $mul)
    (data (i32.const 5000) "0123456789012345678901234567890123456789") (data (i32.const 70000) "far away")
    (data (i32.const 20000) "x") (data (i32.const 30000) "y") (data (i32.const 40000) "z")
    (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
    (func $mul (type $binary) (i32.mul (local.get 0) (local.get 1)))
    (func (export "apply") (param i32) (result i32)
        (call_indirect (type $binary) (i32.const 6) (i32.const 7) (local.get 0)))
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#;

/// What is tampered with.
struct Scene {
    dir: PathBuf,
    entry: PathBuf,
    link: PathBuf,
    file: PathBuf,
    artifact: PathBuf,
    original_entry: Vec<u8>,
    original_link: PathBuf,
    original_artifact: Vec<u8>,
    expected: String,
}

thread_local! {
    static SCENE: OnceCell<Scene> = const { OnceCell::new() };
}

/// Opens files that were tampered with.
pub fn cache_load(data: &[u8]) {
    SCENE.with(|scene| scene.get_or_init(Scene::new).run(data));
}

fn config(cache: Option<&Path>) -> Config {
    let mut config = Config::new();
    config.tier(Tier::Auto).compile_threads(0).cache(cache.map(Cache::at));
    config
}

/// The only file of a directory.
fn only(dir: &Path) -> PathBuf {
    let mut names = fs::read_dir(dir).expect("a directory").map(|e| e.expect("an entry").path());
    names.next().expect("a file")
}

impl Scene {
    fn new() -> Scene {
        let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_alphanumeric(), "");
        let dir = std::env::temp_dir().join(format!("vm-fuzz-cache-{}-{thread}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a directory for files");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("own directory");
        let (cache, file, artifact) = (dir.join("cache"), dir.join("m.wasm"), dir.join("m.aot"));
        fs::write(&file, wat::parse_str(TEXT).expect("a module")).expect("a file");
        // What was written just now might change again without a trace, and is not linked.
        std::thread::sleep(std::time::Duration::from_millis(80));
        let engine = Engine::new(config(Some(&cache)).tier(Tier::Jit)).expect("an engine");
        let module = Module::from_file(&engine, &file).expect("a module");
        let expected = observe(&module);
        module.save().expect("a cache");
        let ahead = module.compile_ahead(Some(&artifact), &|_| ()).expect("an artifact");
        assert!(ahead.refused.is_empty());
        let (entry, link) = (only(&cache.join("code")), only(&cache.join("files")));
        Scene {
            original_entry: fs::read(&entry).expect("the entry"),
            original_link: fs::read_link(&link).expect("the link"),
            original_artifact: fs::read(&artifact).expect("the artifact"),
            dir,
            entry,
            link,
            file,
            artifact,
            expected,
        }
    }

    fn run(&self, data: &[u8]) {
        let Some((&what, rest)) = data.split_first() else { return };
        match what % 6 {
            0 => self.entry(&edited(&self.original_entry, rest)),
            1 => self.entry(rest),
            2 => self.artifact(&edited(&self.original_artifact, rest)),
            3 => self.artifact(rest),
            4 => self.artifact(&self.put_right(edited(&self.original_artifact, rest))),
            _ => self.link(rest),
        }
    }

    fn entry(&self, bytes: &[u8]) {
        write(&self.entry, bytes);
        self.open_file(bytes == self.original_entry);
        write(&self.entry, &self.original_entry);
    }

    fn link(&self, rest: &[u8]) {
        let original = self.original_link.to_str().expect("text");
        let target = edited(original.as_bytes(), rest);
        let target = String::from_utf8_lossy(&target).replace('\0', "");
        let _ = fs::remove_file(&self.link);
        if symlink(&target, &self.link).is_ok() {
            self.open_file(true);
        }
        write(&self.entry, &self.original_entry);
    }

    /// Opens the module by its file, which leads to the entry or not.
    fn open_file(&self, may_be_used: bool) {
        let engine = Engine::new(&config(Some(&self.dir.join("cache")))).expect("an engine");
        let module = Module::from_file(&engine, &self.file).expect("the module itself is intact");
        assert!(may_be_used || module.precompiled().is_none(), "a damaged entry is used");
        assert_eq!(observe(&module), self.expected);
    }

    fn artifact(&self, bytes: &[u8]) {
        write(&self.artifact, bytes);
        let intact = bytes == self.original_artifact;
        for cache in [None, Some(self.dir.join("cache"))] {
            let engine = Engine::new(&config(cache.as_deref())).expect("an engine");
            let Ok(module) = Module::from_file(&engine, &self.artifact) else {
                assert!(!intact, "an artifact is refused");
                continue;
            };
            let used = module.precompiled().is_some() && module.note().is_none();
            // With a cache, code may come from there.
            assert!(intact || !used || cache.is_some(), "a damaged artifact is used");
            if module.bytes() == self.original_module() {
                assert_eq!(observe(&module), self.expected);
            }
        }
        write(&self.artifact, &self.original_artifact);
    }

    fn original_module(&self) -> &[u8] {
        let word =
            |at: usize| u64::from_le_bytes(self.original_artifact[at..][..8].try_into().expect("8 bytes")) as usize;
        &self.original_artifact[word(16)..][..word(24)]
    }

    /// Makes the digests right that need no key.
    fn put_right(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let old = blake3::hash(&self.original_artifact[1024..]);
        let place = self.original_artifact[..1024].windows(32).position(|w| w == old.as_bytes());
        let place = place.expect("the digest of everything behind the header");
        if bytes.len() <= 1024 {
            return bytes;
        }
        let body = blake3::hash(&bytes[1024..]);
        bytes[place..place + 32].copy_from_slice(body.as_bytes());
        let word = |at: usize| u64::from_le_bytes(bytes[at..][..8].try_into().expect("8 bytes")) as usize;
        let module = word(16).checked_add(word(24)).and_then(|end| bytes.get(word(16)..end)).map(blake3::hash);
        if let Some(digest) = module {
            bytes[32..64].copy_from_slice(digest.as_bytes());
        }
        let own = *blake3::Hasher::new().update(&bytes[..64]).update(&bytes[128..1024]).finalize().as_bytes();
        bytes[64..96].copy_from_slice(&own);
        bytes
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("own file");
}

/// Applies a list of changes: where (3 bytes), which kind, with what.
fn edited(original: &[u8], list: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for edit in list.chunks_exact(5) {
        let at = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize;
        if bytes.is_empty() {
            break;
        }
        let at = at % bytes.len();
        match edit[3] % 6 {
            0 => bytes[at] ^= edit[4],
            1 => bytes[at] = edit[4],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, edit[4]),
            4 => drop(bytes.remove(at)),
            _ => bytes[at..].iter_mut().take(usize::from(edit[4])).for_each(|b| *b = 0),
        }
    }
    bytes
}

/// Everything that a run of the module yields.
fn observe(module: &Module) -> String {
    let mut store = Store::new(module.engine(), ());
    let instance = Linker::new(module.engine()).instantiate(&mut store, module).expect("it needs nothing");
    let mut text = String::new();
    for (name, arg) in [("apply", 1), ("apply", 2), ("apply", 3), ("load", 5000), ("load", 70001), ("load", 131069)] {
        let func = instance.get_func(&mut store, name).expect("an export");
        let mut results = [Val::I32(0)];
        match func.call(&mut store, &[Val::I32(arg)], &mut results) {
            Ok(()) => text.push_str(&format!("{results:?} ")),
            Err(e) => text.push_str(&format!("{:?} ", e.as_trap().map(vm::Trap::kind))),
        }
    }
    text
}
