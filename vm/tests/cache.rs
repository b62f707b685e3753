//! The cache of compiled code: what is kept is used, and what is missing, damaged, foreign or another's is as if it were not there.
//!
//! In: a module with everything that a file keeps (types, tables, a memory image, traps), run again and again while its files are
//! tampered with. Out: the same results every time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use vm::{Cache, Config, Engine, Func, Linker, Module, Store, Tier, TrapKind, Val};

const TEXT: &str = r#"(module $kept
    (import "env" "twice" (func $twice (param i64) (result i64)))
    (type $binary (func (param i32 i32) (result i32)))
    (memory (export "memory") 2)
    (table 8 funcref)
    (global $count (mut i64) (i64.const 40))
    (elem (i32.const 1) $add $mul)
    (data (i32.const 100) "abcdefgh")
    (data (i32.const 5000) "0123456789012345678901234567890123456789")
    (data (i32.const 70000) "far away")
    (data (i32.const 20000) "x") (data (i32.const 30000) "y") (data (i32.const 40000) "z")
    (data $passive "passive")
    (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
    (func $mul (type $binary) (i32.mul (local.get 0) (local.get 1)))
    (func (export "apply") (param i32 i32 i32) (result i32)
        (call_indirect (type $binary) (local.get 1) (local.get 2) (local.get 0)))
    (func (export "sum") (param i32) (result i64)
        (local $sum i64)
        (loop $again
            (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get 0))))
            (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (global.set $count (i64.add (global.get $count) (i64.const 1)))
        (i64.add (local.get $sum) (call $twice (global.get $count))))
    (func (export "passive") (result i32)
        (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 7))
        (i32.load8_u (i32.const 6)))
    (func (export "float") (param f64) (result f64) (f64.sqrt (f64.mul (local.get 0) (f64.const 2.5))))
    (func $inner (export "trap") (param i32) (result i32) (i32.load offset=131072 (local.get 0)))
)"#;

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cache-{name}-{}-{n}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
    fn cache(&self) -> Cache {
        Cache::at(self.0.join("cache"))
    }
    fn engine(&self, change: impl FnOnce(&mut Config)) -> Engine {
        let mut config = Config::new();
        config.cache(Some(self.cache()));
        change(&mut config);
        Engine::new(&config).unwrap()
    }
    /// The one entry.
    fn entry(&self) -> PathBuf {
        let names: Vec<_> = fs::read_dir(self.0.join("cache/code")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
        names.into_iter().next().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Everything that a run of the module yields, as text.
fn observe(module: &Module) -> String {
    let mut store = Store::new(module.engine(), ());
    let mut linker = Linker::new(module.engine());
    linker.func_wrap("env", "twice", |n: i64| n * 2).unwrap();
    let instance = linker.instantiate(&mut store, module).unwrap();
    let mut text = String::new();
    let mut call = |store: &mut Store<()>, name: &str, args: &[Val]| {
        let func: Func = instance.get_func(&mut *store, name).unwrap();
        let mut results = vec![Val::I32(0); func.ty(&*store).results.len()];
        match func.call(&mut *store, args, &mut results) {
            Ok(()) => text.push_str(&format!("{name} {results:?}\n")),
            Err(e) => {
                let trap = e.as_trap().unwrap();
                text.push_str(&format!("{name} {:?} {e}\n", trap.kind()));
            }
        }
    };
    for i in 0..4 {
        call(&mut store, "apply", &[Val::I32(i), Val::I32(6), Val::I32(7)]);
    }
    for i in [1, 5100, 80_000] {
        call(&mut store, "sum", &[Val::I32(i)]);
    }
    call(&mut store, "float", &[Val::F64(8.0f64.to_bits())]);
    call(&mut store, "trap", &[Val::I32(3)]);
    call(&mut store, "passive", &[]);
    text
}

fn module(engine: &Engine) -> Module {
    Module::new(engine, TEXT).unwrap()
}

fn expected() -> String {
    let mut config = Config::new();
    config.tier(Tier::Interp);
    let text = observe(&module(&Engine::new(&config).unwrap()));
    assert!(text.contains(&format!("{:?}", TrapKind::MemoryOutOfBounds)), "{text}");
    text
}

fn jit(c: &mut Config) {
    c.tier(Tier::Jit);
}

#[test]
fn what_was_compiled_is_used_again() {
    let scratch = Scratch::new("again");
    let first = module(&scratch.engine(jit));
    assert!(first.precompiled().is_none());
    assert_eq!(observe(&first), expected());
    assert!(first.save().unwrap());
    assert!(!first.save().unwrap(), "nothing is new");
    for tier in [Tier::Jit, Tier::Auto] {
        let engine = scratch.engine(|c| {
            c.tier(tier);
        });
        let second = module(&engine);
        assert_eq!(second.precompiled().unwrap().0, 7);
        assert_eq!(observe(&second), expected());
        let stats = engine.compile_stats();
        assert_eq!((stats.functions, stats.loops), (0, 0), "{stats:?}");
        assert_eq!(second.function_count(), first.function_count());
        assert_eq!(second.func_name(2), first.func_name(2));
        assert_eq!(second.bytes(), first.bytes());
    }
    // An interpreter has no use for it, and other settings make other code.
    let interp = scratch.engine(|c| {
        c.tier(Tier::Interp);
    });
    assert!(module(&interp).precompiled().is_none());
    let fuel = scratch.engine(|c| {
        c.fuel(true);
    });
    assert!(module(&fuel).precompiled().is_none());
    let entries = scratch.cache().entries().unwrap();
    assert_eq!(entries.len(), 1);
    let contents = entries[0].contents.as_ref().unwrap();
    assert_eq!((contents.functions, contents.compiled, contents.usable), (7, 7, true));
    assert_eq!(contents.module.as_deref(), Some("kept"));
    assert_eq!(scratch.cache().clean().unwrap().0, 1);
    assert!(module(&scratch.engine(jit)).precompiled().is_none());
}

#[test]
fn what_becomes_hot_later_is_added() {
    let scratch = Scratch::new("grows");
    let mixed = |c: &mut Config| {
        c.compile_threads(0).tier_threshold(1);
    };
    let engine = scratch.engine(mixed);
    let first = module(&engine);
    {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.func_wrap("env", "twice", |n: i64| n * 2).unwrap();
        let instance = linker.instantiate(&mut store, &first).unwrap();
        let float = instance.get_typed_func::<f64, f64>(&mut store, "float").unwrap();
        for _ in 0..3 {
            float.call(&mut store, 1.0).unwrap();
        }
    }
    assert!(first.save().unwrap());
    let second = module(&scratch.engine(mixed));
    let before = second.precompiled().unwrap().0;
    assert!((1..7).contains(&before), "{before}");
    assert_eq!(observe(&second), expected());
    assert!(second.save().unwrap());
    let third = module(&scratch.engine(jit));
    assert!(third.precompiled().unwrap().0 > before);
    // What is missing is compiled and calls what is there, and the other way round.
    assert_eq!(observe(&third), expected());
}

#[test]
fn files_are_known_by_their_identity() {
    let scratch = Scratch::new("identity");
    let file = scratch.0.join("m.wasm");
    let bytes = wat::parse_str(TEXT).unwrap();
    fs::write(&file, &bytes).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(80));
    let open = || Module::from_file(&scratch.engine(jit), &file).unwrap();
    let first = open();
    observe(&first);
    assert!(first.save().unwrap());
    let links = || fs::read_dir(scratch.0.join("cache/files")).unwrap().count();
    assert_eq!(links(), 1);
    std::thread::sleep(std::time::Duration::from_millis(80));
    // Compared with its digests, then sealed, then trusted.
    for _ in 0..3 {
        let again = open();
        assert!(again.precompiled().is_some());
        assert_eq!(observe(&again), expected());
        again.save().unwrap();
    }
    assert_eq!(links(), 1);
    // Another module in the same place, even of the same size and time, is another module.
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let mut other = bytes.clone();
    let at = bytes.windows(8).position(|w| w == b"abcdefgh").unwrap();
    other[at] = b'A';
    fs::write(&file, &other).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    let changed = open();
    assert!(changed.precompiled().is_none());
    assert_ne!(observe(&changed), expected());
    // And a copy of the first one is the first one.
    let copy = scratch.0.join("copy.wasm");
    fs::write(&copy, &bytes).unwrap();
    let copied = Module::from_file(&scratch.engine(jit), &copy).unwrap();
    assert!(copied.precompiled().is_some());
    assert_eq!(observe(&copied), expected());
    // Links that were moved to each other's places say so.
    copied.save().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(80));
    let names: Vec<_> = fs::read_dir(scratch.0.join("cache/files")).unwrap().map(|e| e.unwrap().path()).collect();
    for name in &names[1..] {
        fs::remove_file(name).unwrap();
        fs::rename(&names[0], name).unwrap();
        std::os::unix::fs::symlink(fs::read_link(name).unwrap(), &names[0]).unwrap();
    }
    assert_eq!(observe(&Module::from_file(&scratch.engine(jit), &copy).unwrap()), expected());
    assert_ne!(observe(&open()), expected());
}

/// A file of which a page is written to through a shared mapping, of which the system notices the first time only.
struct Mapped(*mut u8, usize);

impl Mapped {
    fn new(path: &Path) -> Mapped {
        let file = fs::File::options().read(true).write(true).open(path).unwrap();
        let len = file.metadata().unwrap().len() as usize;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_SHARED, std::os::fd::AsRawFd::as_raw_fd(&file), 0)
        };
        assert_ne!(at, libc::MAP_FAILED);
        Mapped(at.cast(), len)
    }
    fn write(&self, at: usize, byte: u8) {
        assert!(at < self.1);
        // SAFETY: within the mapping.
        unsafe { self.0.add(at).write_volatile(byte) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}

#[test]
fn a_file_that_changes_through_a_mapping_is_never_the_old_module() {
    for early in [true, false] {
        let scratch = Scratch::new("mapped");
        let file = scratch.0.join("m.wasm");
        let bytes = wat::parse_str(TEXT).unwrap();
        fs::write(&file, &bytes).unwrap();
        let at = bytes.windows(8).position(|w| w == b"abcdefgh").unwrap();
        let mapped = Mapped::new(&file);
        // From here on the page is written to without the file's times being touched.
        mapped.write(at, b'a');
        std::thread::sleep(std::time::Duration::from_millis(80));
        let open = || Module::from_file(&scratch.engine(jit), &file).unwrap();
        let first = open();
        assert_eq!(observe(&first), expected());
        if early {
            mapped.write(at, b'A');
        }
        assert!(first.save().unwrap());
        mapped.write(at, b'A');
        assert_ne!(observe(&open()), expected(), "before it was saved: {early}");
    }
}

/// Saves the module, lets something happen to the entry, and looks whether a new engine runs the module as it should.
fn tampered(scratch: &Scratch, original: &[u8], entry: &Path, damage: &[u8], what: &str, expected: &str) {
    fs::write(entry, damage).unwrap();
    fs::set_permissions(entry, fs::Permissions::from_mode(0o600)).unwrap();
    let module = module(&scratch.engine(|_| {}));
    assert!(module.precompiled().is_none(), "{what}: used");
    assert_eq!(observe(&module), expected, "{what}");
    assert!(!entry.exists(), "{what}: kept");
    fs::write(entry, original).unwrap();
}

#[test]
fn damaged_entries_are_not_used() {
    let scratch = Scratch::new("damaged");
    let first = module(&scratch.engine(jit));
    observe(&first);
    first.save().unwrap();
    let (entry, expected) = (scratch.entry(), expected());
    let original = fs::read(&entry).unwrap();
    let step = if cfg!(debug_assertions) { 101 } else { 11 };
    for at in (0..original.len()).step_by(step) {
        let mut damage = original.clone();
        damage[at] ^= 1 << (at % 8);
        tampered(&scratch, &original, &entry, &damage, &format!("byte {at}"), &expected);
    }
    for len in (0..original.len()).step_by(step * 5) {
        tampered(&scratch, &original, &entry, &original[..len], &format!("length {len}"), &expected);
    }
    let longer: Vec<u8> = original.iter().copied().chain([0]).collect();
    tampered(&scratch, &original, &entry, &longer, "one byte more", &expected);
    fs::write(&entry, &original).unwrap();
    assert!(module(&scratch.engine(jit)).precompiled().is_some());
}

#[test]
fn what_others_may_write_is_not_used() {
    let scratch = Scratch::new("foreign");
    let first = module(&scratch.engine(jit));
    observe(&first);
    first.save().unwrap();
    let (entry, dir) = (scratch.entry(), scratch.0.join("cache"));
    let used = || module(&scratch.engine(jit)).precompiled().is_some();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    assert!(used());
    for mode in [0o660, 0o606, 0o622] {
        set(&entry, mode);
        assert!(!used(), "{mode:o}");
    }
    set(&entry, 0o644);
    assert!(used());
    set(&dir, 0o777);
    assert!(!used());
    let second = module(&scratch.engine(jit));
    assert_eq!(observe(&second), expected());
    assert!(second.save().is_err(), "nothing is written where others may");
    assert!(scratch.cache().entries().is_err() && scratch.cache().clean().is_err());
    set(&dir, 0o700);
    assert!(used());
    // Neither is what is no file, or leads elsewhere.
    let elsewhere = scratch.0.join("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &entry).unwrap();
    assert!(!used());
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    assert!(!used());
}

#[test]
fn entries_of_other_modules_are_not_used() {
    let scratch = Scratch::new("swapped");
    let first = module(&scratch.engine(jit));
    observe(&first);
    first.save().unwrap();
    let entry = scratch.entry();
    let other = Module::new(&scratch.engine(jit), TEXT.replace("i32.mul", "i32.sub")).unwrap();
    observe(&other);
    other.save().unwrap();
    let names = || fs::read_dir(scratch.0.join("cache/code")).unwrap().map(|e| e.unwrap().path());
    let second = names().find(|p| *p != entry).unwrap();
    fs::copy(&second, &entry).unwrap();
    let again = module(&scratch.engine(jit));
    assert!(again.precompiled().is_none());
    assert_eq!(observe(&again), expected());
}

#[test]
fn without_a_place_nothing_is_kept() {
    let scratch = Scratch::new("nowhere");
    let blocked = scratch.0.join("file");
    fs::write(&blocked, "").unwrap();
    for dir in [blocked.join("cache"), PathBuf::from("/proc/nowhere"), blocked] {
        let mut config = Config::new();
        config.tier(Tier::Jit).cache(Some(Cache::at(&dir)));
        let module = module(&Engine::new(&config).unwrap());
        assert_eq!(observe(&module), expected());
        let error = module.save().unwrap_err().to_string();
        assert!(error.contains(dir.to_str().unwrap()), "{error}");
    }
}

#[test]
fn the_cache_stays_within_its_limit() {
    let scratch = Scratch::new("limit");
    let make = |n: u32| {
        let engine = scratch.engine(|c| {
            c.tier(Tier::Jit).cache(Some(scratch.cache().with_limit(60_000)));
        });
        let module = Module::new(&engine, TEXT.replace("2.5", &format!("{n}.5"))).unwrap();
        observe(&module);
        module.save().unwrap();
        scratch.cache().entries().unwrap().iter().map(|e| e.bytes).sum::<u64>()
    };
    let sizes: Vec<u64> = (0..8).map(make).collect();
    assert!(sizes.iter().all(|s| *s <= 60_000) && sizes[7] > 20_000, "{sizes:?}");
    let (gone, bytes) = scratch.cache().prune(20_000).unwrap();
    assert!(gone > 0 && bytes > 0);
    assert!(scratch.cache().entries().unwrap().iter().map(|e| e.bytes).sum::<u64>() <= 20_000);
}

#[test]
fn many_threads_read_and_write_the_same() {
    let scratch = Scratch::new("threads");
    let expected = expected();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..12 {
                    let module = module(&scratch.engine(jit));
                    assert_eq!(observe(&module), expected);
                    module.save().unwrap();
                    if i % 4 == 3 {
                        // Somebody else may be faster.
                        let _ = scratch.cache().clean();
                    }
                }
            });
        }
    });
}

#[test]
fn modules_with_the_same_types_share_an_engine() {
    let scratch = Scratch::new("types");
    for round in 0..2 {
        let engine = scratch.engine(jit);
        let modules: Vec<Module> = (0..3)
            .map(|n| {
                // The engine gets to know types in another order each time.
                let types =
                    ["(type (func (param i64 i64)))", "(type (func (param f64)))", "(type (func (result f32)))"];
                Module::new(
                    &engine,
                    TEXT.replace("(module $kept", &format!("(module $kept {}", types[(n + round) % 3])),
                )
                .unwrap()
            })
            .collect();
        for module in &modules {
            assert_eq!(module.precompiled().is_some(), round > 0);
            // Places in the module differ.
            let results = |text: String| text.lines().filter(|l| !l.contains("0x")).collect::<Vec<_>>().join("\n");
            assert_eq!(results(observe(module)), results(expected()));
            module.save().unwrap();
        }
    }
}
