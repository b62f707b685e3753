//! Engine-wide canonical types.
//!
//! In: recursion groups as a module writes them. Out: one [`TypeId`] per type, equal for equivalent types of
//! all modules. A group is keyed by its own structure with inner references written relative to the group
//! (iso-recursive equivalence, as the specification defines it). Entries live as long as the registry:
//! ids inside running code stay valid.
//!
//! An id is a hash of the group's structure, so that compiled code, which compares ids with constants, means the same in
//! every process. Two groups that want the same ids are told apart by moving the later one, which is then *displaced*: code that
//! names it is good for this registry only.

use crate::types::*;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The canonical types of one engine.
#[derive(Default)]
pub struct TypeRegistry {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    groups: HashMap<Arc<[SubType]>, TypeId>,
    types: HashMap<u32, Entry, BuildHasherDefault<AsIs>>,
    displaced: HashSet<TypeId>,
}

struct Entry {
    ty: Arc<SubType>,
    group: Arc<[SubType]>,
    /// Id of the group's first member.
    first: TypeId,
}

/// For keys that are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = self.0 << 8 | u64::from(b));
    }
    fn write_u32(&mut self, n: u32) {
        // The table looks at the highest bits and at the lowest.
        self.0 = u64::from(n) | u64::from(n) << 32;
    }
}

/// FNV-1a with a final mix: the same in every process, unlike the standard library's default.
struct Stable(u64);

impl Hasher for Stable {
    fn finish(&self) -> u64 {
        let h = (self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        h ^ h >> 29
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }
}

/// The id that a group's first member wants, at an attempt. They stay clear of 0 and of the sign bit.
fn wanted_id(group: &[SubType], attempt: u32) -> u32 {
    let mut h = Stable(0xcbf2_9ce4_8422_2325);
    (attempt, group).hash(&mut h);
    (h.finish() as u32 & 0x3fff_ffff) + 1
}

impl TypeRegistry {
    /// Interns a recursion group; references to its own members are [`HeapType::InGroup`]. Answers the id of
    /// the first member: the others follow it.
    pub fn intern_group(&self, group: Vec<SubType>) -> TypeId {
        if let Some(&id) = self.read().groups.get(group.as_slice()) {
            return id;
        }
        let mut t = self.write();
        if let Some(&id) = t.groups.get(group.as_slice()) {
            return id;
        }
        let count = group.len() as u32;
        let free = |base: u32, t: &Tables| (base..base + count).all(|id| !t.types.contains_key(&id));
        let mut attempt = 0;
        let base = loop {
            let base = wanted_id(&group, attempt);
            if free(base, &t) {
                break base;
            }
            attempt += 1;
        };
        let (key, first): (Arc<[SubType]>, _) = (group.into(), TypeId(base));
        for (id, sub) in (base..).zip(key.iter()) {
            let ty = Arc::new(resolve_group(sub, base));
            t.types.insert(id, Entry { ty, group: key.clone(), first });
            if attempt > 0 {
                t.displaced.insert(TypeId(id));
            }
        }
        t.groups.insert(key, first);
        first
    }

    /// The group that a type was interned with, and the id of the group's first member.
    pub fn group(&self, id: TypeId) -> (Arc<[SubType]>, TypeId) {
        let t = self.read();
        let e = &t.types[&id.0];
        (e.group.clone(), e.first)
    }

    /// Whether another registry may know the type by another id.
    pub fn is_displaced(&self, id: TypeId) -> bool {
        self.read().displaced.contains(&id)
    }

    /// Interns a function type that stands alone: final, without supertype.
    pub fn intern_func(&self, ty: FuncType) -> TypeId {
        self.intern_group(vec![SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) }])
    }

    /// The type behind an id.
    pub fn get(&self, id: TypeId) -> Arc<SubType> {
        self.read().types[&id.0].ty.clone()
    }

    /// The function type behind an id, if it is one.
    pub fn func(&self, id: TypeId) -> Option<FuncType> {
        match &self.get(id).composite {
            CompositeType::Func(f) => Some(f.clone()),
            _ => None,
        }
    }

    /// How many declared supertypes a type has, one above the other.
    pub fn depth(&self, id: TypeId) -> u32 {
        let (mut depth, mut at) = (0, id);
        while let Some(HeapType::Concrete(above)) = self.get(at).supertype {
            (depth, at) = (depth + 1, above);
        }
        depth
    }

    /// Whether `sub` is `sup` or declared (through any number of steps) a subtype of it.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let t = self.read();
        let mut at = sub;
        loop {
            if at == sup {
                return true;
            }
            match t.types[&at.0].ty.supertype {
                Some(HeapType::Concrete(next)) => at = next,
                _ => return false,
            }
        }
    }

    /// Heap type matching of the specification.
    pub fn heap_matches(&self, sub: HeapType, sup: HeapType) -> bool {
        use HeapType::*;
        if sub == sup {
            return true;
        }
        let composite = |id: TypeId| match self.get(id).composite {
            CompositeType::Func(_) => Func,
            CompositeType::Struct(_) => Struct,
            CompositeType::Array(_) => Array,
        };
        match (sub, sup) {
            (Concrete(a), Concrete(b)) => self.is_subtype(a, b),
            (Concrete(a), _) => self.heap_matches(composite(a), sup),
            (NoFunc, Concrete(b)) => composite(b) == Func,
            (None, Concrete(b)) => composite(b) != Func,
            (NoFunc, Func) | (NoExtern, Extern) | (NoExn, Exn) => true,
            (None, Any | Eq | I31 | Struct | Array) => true,
            (I31 | Struct | Array, Eq | Any) | (Eq, Any) => true,
            _ => false,
        }
    }

    /// Reference type matching of the specification.
    pub fn ref_matches(&self, sub: RefType, sup: RefType) -> bool {
        (sup.nullable || !sub.nullable) && self.heap_matches(sub.heap, sup.heap)
    }

    /// Value type matching of the specification.
    pub fn val_matches(&self, sub: ValType, sup: ValType) -> bool {
        match (sub, sup) {
            (ValType::Ref(a), ValType::Ref(b)) => self.ref_matches(a, b),
            _ => sub == sup,
        }
    }

    // A poisoned lock only means that another thread panicked between two complete states.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(|e| e.into_inner())
    }
    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(|e| e.into_inner())
    }
}

/// Rewrites references within a group to the ids its members get.
fn resolve_group(sub: &SubType, base: u32) -> SubType {
    let heap = |h: HeapType| match h {
        HeapType::InGroup(i) => HeapType::Concrete(TypeId(base + i)),
        h => h,
    };
    let val = |v: ValType| match v {
        ValType::Ref(r) => ValType::Ref(RefType { nullable: r.nullable, heap: heap(r.heap) }),
        v => v,
    };
    let field = |f: FieldType| FieldType {
        mutable: f.mutable,
        storage: match f.storage {
            StorageType::Val(v) => StorageType::Val(val(v)),
            s => s,
        },
    };
    SubType {
        is_final: sub.is_final,
        supertype: sub.supertype.map(heap),
        composite: match &sub.composite {
            CompositeType::Func(f) => CompositeType::Func(FuncType {
                params: f.params.iter().map(|&t| val(t)).collect(),
                results: f.results.iter().map(|&t| val(t)).collect(),
            }),
            CompositeType::Struct(fs) => CompositeType::Struct(fs.iter().map(|&f| field(f)).collect()),
            CompositeType::Array(f) => CompositeType::Array(field(*f)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn func(params: &[ValType]) -> FuncType {
        FuncType { params: params.into(), results: [].into() }
    }

    #[test]
    fn equal_structure_gives_equal_ids() {
        let r = TypeRegistry::default();
        let a = r.intern_func(func(&[ValType::I32]));
        assert_eq!(a, r.intern_func(func(&[ValType::I32])));
        assert_ne!(a, r.intern_func(func(&[ValType::I64])));
    }

    #[test]
    fn recursive_groups_are_told_apart_by_their_shape() {
        let r = TypeRegistry::default();
        let own = ValType::Ref(RefType { nullable: true, heap: HeapType::InGroup(0) });
        let sub = |t: ValType| SubType { is_final: true, supertype: None, composite: CompositeType::Func(func(&[t])) };
        let a = r.intern_group(vec![sub(own)]);
        assert_eq!(a, r.intern_group(vec![sub(own)]));
        let outer = ValType::Ref(RefType { nullable: true, heap: HeapType::Concrete(a) });
        assert_ne!(a, r.intern_group(vec![sub(outer)]));
        assert_eq!(r.func(a).unwrap().params[0], outer);
    }

    #[test]
    fn ids_are_the_same_in_every_registry_unless_they_collide() {
        let (a, b) = (TypeRegistry::default(), TypeRegistry::default());
        a.intern_func(func(&[ValType::F32]));
        let id = a.intern_func(func(&[ValType::I64]));
        assert_eq!(id, b.intern_func(func(&[ValType::I64])));
        assert!(!a.is_displaced(id));
        assert_eq!(a.group(id).1, id);
        // Somebody else sits where another type belongs.
        let group = vec![SubType { is_final: true, supertype: None, composite: CompositeType::Func(func(&[])) }];
        let squatter = Arc::new(group[0].clone());
        let wanted = TypeId(wanted_id(&group, 0));
        let entry = Entry { ty: squatter, group: group.clone().into(), first: wanted };
        b.write().types.insert(wanted.0, entry);
        let moved = b.intern_group(group.clone());
        assert_ne!(moved, wanted);
        assert!(b.is_displaced(moved));
        assert_eq!(moved, b.intern_group(group));
    }

    #[test]
    fn bottom_types_match_their_hierarchy_only() {
        let r = TypeRegistry::default();
        let f = r.intern_func(func(&[]));
        assert!(r.heap_matches(HeapType::NoFunc, HeapType::Concrete(f)));
        assert!(r.heap_matches(HeapType::Concrete(f), HeapType::Func));
        assert!(!r.heap_matches(HeapType::None, HeapType::Concrete(f)));
        assert!(!r.heap_matches(HeapType::Func, HeapType::Concrete(f)));
    }
}
