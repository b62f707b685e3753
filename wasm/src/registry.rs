//! Engine-wide canonical types.
//!
//! In: recursion groups as a module writes them. Out: one [`TypeId`] per type, equal for equivalent types of
//! all modules. A group is keyed by its own structure with inner references written relative to the group
//! (iso-recursive equivalence, as the specification defines it). Entries live as long as the registry:
//! ids inside running code stay valid.

use crate::types::*;
use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The canonical types of one engine.
#[derive(Default)]
pub struct TypeRegistry {
    tables: RwLock<Tables>,
}

#[derive(Default)]
struct Tables {
    groups: HashMap<Arc<[SubType]>, TypeId>,
    types: Vec<Arc<SubType>>,
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
        let base = t.types.len() as u32;
        let key: Arc<[SubType]> = group.into();
        for sub in key.iter() {
            t.types.push(Arc::new(resolve_group(sub, base)));
        }
        t.groups.insert(key, TypeId(base));
        TypeId(base)
    }

    /// Interns a function type that stands alone: final, without supertype.
    pub fn intern_func(&self, ty: FuncType) -> TypeId {
        self.intern_group(vec![SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) }])
    }

    /// The type behind an id.
    pub fn get(&self, id: TypeId) -> Arc<SubType> {
        self.read().types[id.0 as usize].clone()
    }

    /// The function type behind an id, if it is one.
    pub fn func(&self, id: TypeId) -> Option<FuncType> {
        match &self.get(id).composite {
            CompositeType::Func(f) => Some(f.clone()),
            _ => None,
        }
    }

    /// Whether `sub` is `sup` or declared (through any number of steps) a subtype of it.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let t = self.read();
        let mut at = sub;
        loop {
            if at == sup {
                return true;
            }
            match t.types[at.0 as usize].supertype {
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
    fn bottom_types_match_their_hierarchy_only() {
        let r = TypeRegistry::default();
        let f = r.intern_func(func(&[]));
        assert!(r.heap_matches(HeapType::NoFunc, HeapType::Concrete(f)));
        assert!(r.heap_matches(HeapType::Concrete(f), HeapType::Func));
        assert!(!r.heap_matches(HeapType::None, HeapType::Concrete(f)));
        assert!(!r.heap_matches(HeapType::Func, HeapType::Concrete(f)));
    }
}
