//! Compiled code as it lies in a file.
//!
//! In: a file of compiled code that may be trusted. Out: the code in a module's code memory, and the tables of each piece of it. Where the
//! engine knows types by other ids than the file, code and tables are copies that have the engine's.

use super::format::{CodeFile, Meta, Section, word};
use crate::native::arrange::{Adapter, Arrangement};
use crate::native::registry::Placed;
use crate::runtime::image::{MemoryImage, Run};
use crate::sys::CodeMemory;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use wasm::TypeId;

/// The code in a file.
pub(crate) struct CodeImage {
    file: CodeFile,
    adapters: Vec<(Adapter, u32)>,
    stubs: Vec<(u32, u32)>,
    runs: Option<Vec<Run>>,
    renamed: Renamed,
}

/// Ids of types in a file, and what the engine knows these types by, where that differs.
pub(crate) type Renamed = HashMap<TypeId, TypeId>;

impl CodeImage {
    pub(crate) fn new(file: CodeFile, meta: &mut Meta, renamed: Renamed) -> CodeImage {
        let (mut adapters, stubs) = (std::mem::take(&mut meta.adapters), std::mem::take(&mut meta.stubs));
        adapters.iter_mut().for_each(|(a, _)| a.rename(&|id| *renamed.get(&id).unwrap_or(&id)));
        CodeImage { file, adapters, stubs, runs: meta.image.take(), renamed }
    }

    pub(crate) fn file(&self) -> &CodeFile {
        &self.file
    }

    /// The memory image in the file.
    pub(crate) fn memory(&self) -> Option<MemoryImage> {
        let section = self.file.head.range(Section::Image);
        let moved = |r: &Run| Run { offset: r.offset + section.start as u64, ..*r };
        let runs: Vec<Run> = self.runs.as_ref()?.iter().map(moved).collect();
        let file = self.file.map().file().try_clone().ok()?;
        MemoryImage::from_file(Arc::new(file.into()), runs).ok()
    }

    /// Whether there is any code.
    pub(crate) fn has_code(&self) -> bool {
        self.file.head.compiled > 0
    }

    /// Bytes of code.
    pub(crate) fn code_len(&self) -> usize {
        self.file.head.range(Section::Code).len()
    }

    /// Lets a code memory begin with the code, for which `taken` bytes are set aside.
    pub(crate) fn place(&self, memory: &mut CodeMemory, taken: usize) -> io::Result<()> {
        if !self.renamed.is_empty() {
            let code = self.renamed_code().ok_or(io::ErrorKind::InvalidData)?;
            return memory.write(&[(0, &code)]);
        }
        let range = self.file.head.range(Section::Code);
        let mapped = memory.map_file(self.file.map().file(), range.start as u64, range.len(), taken);
        match mapped {
            // Nothing of such a file system is executed; but its contents may be.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                memory.write(&[(0, self.file.section(Section::Code))])
            }
            mapped => mapped,
        }
    }

    /// The code with the engine's ids of types.
    fn renamed_code(&self) -> Option<Vec<u8>> {
        let mut code = self.file.section(Section::Code).to_vec();
        for i in 0..self.file.section(Section::Pieces).len() / 8 {
            let (begin, placed) = self.piece(i)?;
            for (at, id) in placed.type_ids() {
                let at = begin as usize + at as usize;
                code.get_mut(at..at + 4)?.copy_from_slice(&id.0.to_le_bytes());
            }
        }
        Some(code)
    }

    /// A piece of code: where it begins, and its tables.
    fn piece(&self, i: usize) -> Option<(u32, Placed)> {
        let pieces = self.file.section(Section::Pieces);
        let tables = self.file.section(Section::Tables).get(word(pieces, i * 8 + 4) as usize..)?;
        let mut placed = Placed::unpack(tables)?;
        if !self.renamed.is_empty() {
            placed.rename(&|id| *self.renamed.get(&id).unwrap_or(&id));
        }
        Some((word(pieces, i * 8), placed))
    }

    /// What is there already, for code that is to come behind it.
    pub(crate) fn arrangement(&self, used: usize, limit: usize) -> Arrangement {
        let funcs = self.file.section(Section::Funcs).chunks_exact(4).map(|b| word(b, 0)).collect();
        let (stubs, adapters) = (self.stubs.iter().copied().collect(), self.adapters.iter().copied().collect());
        Arrangement::behind(used, limit, funcs, stubs, adapters)
    }

    /// The piece that contains an offset in the code, or ends there, and where it begins.
    pub(crate) fn find(&self, at: u32) -> Option<(u32, Placed)> {
        let pieces = self.file.section(Section::Pieces);
        let begin = |i: usize| word(pieces, i * 8);
        // The first piece that begins behind the offset.
        let (mut low, mut high) = (0, pieces.len() / 8);
        while low < high {
            let middle = low.midpoint(high);
            if begin(middle) <= at { low = middle + 1 } else { high = middle }
        }
        let (begin, placed) = self.piece(low.checked_sub(1)?)?;
        (at - begin <= placed.len).then_some((begin, placed))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Cache, Config, Engine, Instance, Module, Store, Tier, TrapKind};
    use std::path::Path;
    use wasm::{FuncType, HeldTypes, TypeId, TypeRegistry, ValType};

    const KINDS: [(ValType, &str); 4] =
        [(ValType::I32, "i32"), (ValType::I64, "i64"), (ValType::F32, "f32"), (ValType::F64, "f64")];

    /// A function type by number: nine results.
    fn kinds(n: u32) -> impl Iterator<Item = (ValType, &'static str)> {
        (0..9).map(move |i| KINDS[(n >> (2 * i) & 3) as usize])
    }

    fn ty(n: u32) -> FuncType {
        FuncType { params: kinds(n).map(|k| k.0).collect(), results: [ValType::I32].into() }
    }

    /// Ids of many types, interned in some order.
    fn ids(order: impl Iterator<Item = u32>) -> Vec<(u32, TypeId)> {
        let (types, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let mut ids: Vec<_> = order.map(|n| (n, types.intern_func(&mut held, ty(n)))).collect();
        ids.sort_unstable();
        ids
    }

    /// Two types that want the same id.
    fn rivals() -> [u32; 2] {
        let (up, down) = (ids(0..1 << 18), ids((0..1 << 18).rev()));
        let moved: Vec<_> = up.iter().zip(&down).filter(|(a, b)| a.1 != b.1).collect();
        let ((a, id), _) = moved.first().expect("some of so many collide");
        let (b, _) = down.iter().find(|(b, at)| at == id && b != a).expect("who has it then");
        [*a, *b]
    }

    fn results(engine: &Engine, file: &Path) -> (Vec<Result<i32, TrapKind>>, Module) {
        let module = Module::from_file(engine, file).unwrap();
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let f = instance.get_typed_func::<i32, i32>(&mut store, "f").unwrap();
        let g = instance.get_typed_func::<i32, i32>(&mut store, "g").unwrap();
        let kind = |r: crate::Result<i32>| r.map_err(|e| e.as_trap().unwrap().kind());
        let results = [(&f, 0), (&f, 1), (&g, 0), (&g, 1)].map(|(f, n)| kind(f.call(&mut store, n)));
        (results.into(), module)
    }

    #[test]
    fn code_from_a_file_is_changed_where_the_engine_knows_a_type_by_another_id() {
        let [first, second] = rivals();
        let scratch =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/tmp/renamed-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).unwrap();
        let (params, zeros): (Vec<_>, Vec<_>) = kinds(second).map(|k| (k.1, format!("({}.const 0)", k.1))).unzip();
        let text = format!(
            r#"(module (type $t (func (param {}) (result i32))) (type $u (func (result i32))) (type $s (sub (func (param {}) (result i32))))
            (table 2 funcref) (elem (i32.const 0) $a $b)
            (func $a (type $t) (i32.const 7)) (func $b (type $u) (i32.const 8))
            (func (export "f") (param i32) (result i32) {} (call_indirect (type $t) (local.get 0)))
            (func (export "g") (param i32) (result i32)
                (i32.add (ref.test (ref $t) (table.get (local.get 0))) (i32.mul (i32.const 2) (ref.test (ref $s) (table.get (local.get 0)))))))"#,
            params.join(" "),
            params.join(" "),
            zeros.join(" ")
        );
        let file = scratch.join("a.wat");
        std::fs::write(&file, text).unwrap();
        let engine = |cache: &str| {
            let mut config = Config::new();
            Engine::new(config.tier(Tier::Jit).cache(Some(Cache::at(scratch.join(cache))))).unwrap()
        };
        // One that knows another type first, and so the module's by another id.
        let other = |cache: &str, held: &mut HeldTypes| {
            let engine = engine(cache);
            engine.types().intern_func(held, ty(first));
            engine
        };
        let mut held = HeldTypes::default();
        let (expected, module) = results(&engine("a"), &file);
        assert_eq!(expected, [Ok(7), Err(TrapKind::IndirectCallTypeMismatch), Ok(1), Ok(0)]);
        assert!(module.save().unwrap());
        let ids = module.inner.raw.types.clone();
        let (again, module) = results(&other("a", &mut held), &file);
        assert_eq!((again, module.precompiled().map(|p| p.0)), (expected.clone(), Some(4)));
        assert_ne!(module.inner.raw.types[0], ids[0]);
        assert_eq!(module.inner.raw.types[1], ids[1]);
        // What is written there is good everywhere, too.
        let mut held = HeldTypes::default();
        let (_, module) = results(&other("b", &mut held), &file);
        assert!(module.save().unwrap());
        let (again, module) = results(&engine("b"), &file);
        assert_eq!((again, module.precompiled().map(|p| p.0)), (expected, Some(4)));
        assert_eq!(module.inner.raw.types, ids);
        let _ = std::fs::remove_dir_all(&scratch);
    }
}
