//! Engine-wide canonical types.
//!
//! In: recursion groups as a module writes them. Out: one [`TypeId`] per type, equal for equivalent types of all modules and
//! different for all others. A group is keyed by its own structure with inner references written relative to the group
//! (iso-recursive equivalence, as the specification defines it). Invariant: an entry lives as long as somebody [holds](HeldTypes) it or
//! a group that refers to it; whoever keeps an id, or code that compares with it, holds its group.
//!
//! An id is a hash of the group's structure and the place in it, so that compiled code, which compares ids with constants,
//! nearly always means the same in every process. Where an id is taken, the later type gets another one: code from a file that knows
//! it by the first is then changed when it is loaded. Every operation takes time linear in what it is given.

use crate::types::*;
use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The canonical types of one engine; clones are the same registry.
#[derive(Clone, Default)]
pub struct TypeRegistry {
    tables: Arc<RwLock<Tables>>,
}

#[derive(Default)]
struct Tables {
    groups: HashMap<Arc<[SubType]>, Arc<Group>>,
    types: HashMap<u32, DefinedType, BuildHasherDefault<AsIs>>,
    /// Where ids are looked for when several wanted ones are taken.
    spare: u32,
}

/// A recursion group.
struct Group {
    /// With references to own members relative.
    members: Arc<[SubType]>,
    ids: Box<[TypeId]>,
    /// An id in each other group that this one refers to.
    needs: Box<[TypeId]>,
    /// Holders, and groups that refer to this one. It grows under either lock and falls under the one for writing.
    uses: AtomicUsize,
    /// Members with ids in place of relative references, if there are any of these.
    resolved: OnceLock<Option<Box<[SubType]>>>,
    attachments: OnceLock<Box<[Attachment]>>,
}

/// What the runtime makes of a type, once.
pub type Attachment = OnceLock<Box<dyn Any + Send + Sync>>;

/// A type of a registry. It can be looked at even after the registry has given it up.
#[derive(Clone)]
pub struct DefinedType {
    group: Arc<Group>,
    place: u32,
}

impl Deref for DefinedType {
    type Target = SubType;
    fn deref(&self) -> &SubType {
        &self.group.resolved()[self.place as usize]
    }
}

impl DefinedType {
    /// Room for what is made of the type; it stays where it is as long as somebody holds the type.
    pub fn attachment(&self) -> &Attachment {
        let all = || self.group.members.iter().map(|_| Attachment::new()).collect();
        &self.group.attachments.get_or_init(all)[self.place as usize]
    }

    fn nothing() -> DefinedType {
        static NOTHING: OnceLock<DefinedType> = OnceLock::new();
        let make = || {
            let func = FuncType { params: Box::new([]), results: Box::new([]) };
            let ty = SubType { is_final: true, supertype: None, composite: CompositeType::Func(func) };
            let group = Group {
                members: Arc::new([ty]),
                ids: Box::new([]),
                needs: Box::new([]),
                uses: AtomicUsize::new(1),
                resolved: OnceLock::new(),
                attachments: OnceLock::new(),
            };
            DefinedType { group: Arc::new(group), place: 0 }
        };
        NOTHING.get_or_init(make).clone()
    }

    /// Id of the declared supertype.
    fn above(&self) -> Option<TypeId> {
        match self.group.members[self.place as usize].supertype? {
            HeapType::Concrete(id) => Some(id),
            HeapType::InGroup(i) => self.group.ids.get(i as usize).copied(),
            _ => None,
        }
    }
}

impl Group {
    fn resolved(&self) -> &[SubType] {
        let id = |h| match h {
            HeapType::InGroup(i) => HeapType::Concrete(self.ids[i as usize]),
            h => h,
        };
        let resolve = || {
            let mut any = false;
            let mut look = |h| any |= matches!(h, HeapType::InGroup(_));
            self.members.iter().for_each(|m| m.each_heap(&mut look));
            any.then(|| self.members.iter().map(|m| m.map_heaps(&id)).collect())
        };
        self.resolved.get_or_init(resolve).as_deref().unwrap_or(&self.members)
    }

    fn hold(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }
}

/// Types that stay in their registry.
#[derive(Default)]
pub struct HeldTypes {
    registry: Option<TypeRegistry>,
    groups: Vec<Arc<Group>>,
}

impl Clone for HeldTypes {
    fn clone(&self) -> Self {
        self.groups.iter().for_each(|g| g.hold());
        HeldTypes { registry: self.registry.clone(), groups: self.groups.clone() }
    }
}

impl Drop for HeldTypes {
    fn drop(&mut self) {
        if let Some(r) = &self.registry {
            r.release(&self.groups);
        }
    }
}

impl std::fmt::Debug for HeldTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeldTypes({})", self.groups.len())
    }
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

/// FNV-1a: the same in every process, unlike the standard library's default.
struct Stable(u64);

impl Hasher for Stable {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }
}

/// Ids stay clear of 0 and of the sign bit.
const LAST_ID: u32 = i32::MAX as u32;

/// How many ids a type asks for before it takes any.
const ATTEMPTS: u64 = 4;

fn hash(group: &[SubType]) -> u64 {
    let mut h = Stable(0xcbf2_9ce4_8422_2325);
    group.hash(&mut h);
    h.finish()
}

/// The id that the member at a place of a group wants, at an attempt.
fn wanted_id(hash: u64, place: usize, attempt: u64) -> u32 {
    let mut h = hash ^ (place as u64 * ATTEMPTS + attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h = (h ^ h >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h = (h ^ h >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((h >> 32) as u32 & LAST_ID).max(1)
}

impl Tables {
    /// A free id for the member at a place of a group whose other members have those ids.
    fn free_id(&mut self, hash: u64, place: usize, own: &HashSet<u32>) -> u32 {
        let is_free = |id: &u32| !self.types.contains_key(id) && !own.contains(id);
        let wanted = (0..ATTEMPTS).map(|a| wanted_id(hash, place, a)).find(is_free);
        wanted.unwrap_or_else(|| {
            loop {
                self.spare = self.spare % LAST_ID + 1;
                if !self.types.contains_key(&self.spare) && !own.contains(&self.spare) {
                    return self.spare;
                }
            }
        })
    }

    fn free_ids(&mut self, hash: u64, count: usize) -> Box<[TypeId]> {
        let mut own = HashSet::new();
        let ids = (0..count).map(|place| {
            let id = self.free_id(hash, place, &own);
            own.insert(id);
            TypeId(id)
        });
        ids.collect()
    }

    /// Enters a group that is not there; `None` if it refers to a type that is not.
    fn enter(&mut self, members: &Arc<[SubType]>, hash: u64, needs: &[TypeId]) -> Option<Arc<Group>> {
        let needed =
            needs.iter().map(|id| self.types.get(&id.0).map(|t| t.group.clone())).collect::<Option<Vec<_>>>()?;
        let group = Arc::new(Group {
            members: members.clone(),
            ids: self.free_ids(hash, members.len()),
            needs: needs.into(),
            uses: AtomicUsize::new(1),
            resolved: OnceLock::new(),
            attachments: OnceLock::new(),
        });
        needed.iter().for_each(|g| g.hold());
        for (id, place) in group.ids.iter().zip(0..) {
            self.types.insert(id.0, DefinedType { group: group.clone(), place });
        }
        self.groups.insert(members.clone(), group.clone());
        Some(group)
    }

    /// Lets go of a group; of those that are not needed any more the registry knows nothing from now on.
    fn let_go(&mut self, group: &Arc<Group>, gone: &mut Vec<Arc<Group>>) {
        let mut left = vec![group.clone()];
        while let Some(group) = left.pop() {
            if group.uses.fetch_sub(1, Ordering::AcqRel) > 1 {
                continue;
            }
            left.extend(group.needs.iter().filter_map(|id| self.types.get(&id.0)).map(|t| t.group.clone()));
            group.ids.iter().for_each(|id| drop(self.types.remove(&id.0)));
            self.groups.remove(&group.members);
            gone.push(group);
        }
    }

    /// Gives memory back when most of it is not needed any more.
    fn shrink(&mut self) {
        const FEW: usize = 1024;
        if self.types.capacity() / 8 > self.types.len().max(FEW) {
            self.types.shrink_to(self.types.len() * 2);
            self.groups.shrink_to(self.groups.len() * 2);
        }
    }
}

/// How many groups are let go of at a time: others may want the lock.
const AT_A_TIME: usize = 1024;

impl TypeRegistry {
    /// Interns a recursion group; references to its own members are [`HeapType::InGroup`]. Returns the ids of its members, which `held`
    /// holds from now on. A type that is referred to and that nobody holds has no values: references to it become references to nothing.
    ///
    /// `held` is of this registry, or holds nothing.
    pub fn intern_group<'h>(&self, held: &'h mut HeldTypes, mut group: Vec<SubType>) -> &'h [TypeId] {
        let found = loop {
            if let Some(found) = self.find(&group).or_else(|| self.add(&group)) {
                break found;
            }
            group = group.iter().map(|m| m.map_heaps(&|h| self.known(h))).collect();
        };
        held.registry.get_or_insert_with(|| self.clone());
        held.groups.push(found);
        held.groups.last().map_or(&[], |g| &g.ids)
    }

    /// Interns a function type that stands alone: final, without supertype.
    pub fn intern_func(&self, held: &mut HeldTypes, ty: FuncType) -> TypeId {
        self.intern_group(held, vec![SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) }])
            [0]
    }

    /// Holds a type, too. One that nobody holds has no values: then it is the type of nothing that is returned.
    pub fn hold(&self, held: &mut HeldTypes, ty: HeapType) -> HeapType {
        let HeapType::Concrete(id) = ty else { return ty };
        let Some(group) = self.read().types.get(&id.0).map(|t| t.group.clone()).inspect(|g| g.hold()) else {
            return HeapType::NoFunc;
        };
        held.registry.get_or_insert_with(|| self.clone());
        held.groups.push(group);
        ty
    }

    fn find(&self, group: &[SubType]) -> Option<Arc<Group>> {
        self.read().groups.get(group).cloned().inspect(|g| g.hold())
    }

    /// Adds a group unless it is there already; `None` if it refers to a type that is not.
    fn add(&self, group: &[SubType]) -> Option<Arc<Group>> {
        let mut needs = Vec::new();
        let mut look = |h| needs.extend(if let HeapType::Concrete(id) = h { Some(id) } else { None });
        group.iter().for_each(|m| m.each_heap(&mut look));
        needs.sort_unstable();
        needs.dedup();
        let (hash, members) = (hash(group), group.into());
        let mut t = self.write();
        let found = t.groups.get(group).cloned().inspect(|g| g.hold());
        found.or_else(|| t.enter(&members, hash, &needs))
    }

    fn known(&self, h: HeapType) -> HeapType {
        match h {
            HeapType::Concrete(id) if !self.read().types.contains_key(&id.0) => HeapType::NoFunc,
            h => h,
        }
    }

    fn release(&self, groups: &[Arc<Group>]) {
        // Freed when the lock has been given back.
        let mut gone = Vec::new();
        for some in groups.chunks(AT_A_TIME) {
            let mut t = self.write();
            some.iter().for_each(|g| t.let_go(g, &mut gone));
            t.shrink();
        }
    }

    /// The group that a type was interned with.
    pub fn group(&self, id: TypeId) -> Arc<[SubType]> {
        self.get(id).group.members.clone()
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.read().types.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type behind an id; for one that nobody holds, a function without parameters and results.
    pub fn get(&self, id: TypeId) -> DefinedType {
        let known = self.read().types.get(&id.0).cloned();
        known.unwrap_or_else(DefinedType::nothing)
    }

    /// The function type behind an id, if it is one.
    pub fn func(&self, id: TypeId) -> Option<FuncType> {
        match &self.get(id).composite {
            CompositeType::Func(f) => Some(f.clone()),
            _ => None,
        }
    }

    /// A type with its declared supertypes, one above the other.
    pub fn supertypes(&self, id: TypeId) -> Vec<TypeId> {
        let t = self.read();
        std::iter::successors(Some(id), |at| t.types.get(&at.0)?.above()).collect()
    }

    /// How many declared supertypes a type has, one above the other.
    pub fn depth(&self, id: TypeId) -> u32 {
        self.supertypes(id).len() as u32 - 1
    }

    /// Whether `sub` is `sup` or declared (through any number of steps) a subtype of it.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        let t = self.read();
        std::iter::successors(Some(sub), |at| t.types.get(&at.0)?.above()).any(|at| at == sup)
    }

    /// Heap type matching of the specification.
    pub fn heap_matches(&self, sub: HeapType, sup: HeapType) -> bool {
        use HeapType::*;
        if sub == sup {
            return true;
        }
        let composite = |id: TypeId| match &self.get(id).composite {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn func(params: &[ValType]) -> FuncType {
        FuncType { params: params.into(), results: [].into() }
    }

    fn single(ty: FuncType) -> SubType {
        SubType { is_final: true, supertype: None, composite: CompositeType::Func(ty) }
    }

    fn reference(heap: HeapType) -> ValType {
        ValType::Ref(RefType { nullable: true, heap })
    }

    #[test]
    fn equal_structure_gives_equal_ids() {
        let (r, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let a = r.intern_func(&mut held, func(&[ValType::I32]));
        assert_eq!(a, r.intern_func(&mut held, func(&[ValType::I32])));
        assert_ne!(a, r.intern_func(&mut held, func(&[ValType::I64])));
    }

    #[test]
    fn recursive_groups_are_told_apart_by_their_shape() {
        let (r, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let own = reference(HeapType::InGroup(0));
        let a = r.intern_group(&mut held, vec![single(func(&[own]))])[0];
        assert_eq!(a, r.intern_group(&mut held, vec![single(func(&[own]))])[0]);
        let outer = reference(HeapType::Concrete(a));
        assert_ne!(a, r.intern_group(&mut held, vec![single(func(&[outer]))])[0]);
        assert_eq!(r.func(a).unwrap().params[0], outer);
    }

    #[test]
    fn ids_are_the_same_in_every_registry_unless_they_collide() {
        let (a, b) = (TypeRegistry::default(), TypeRegistry::default());
        let (mut in_a, mut in_b) = (HeldTypes::default(), HeldTypes::default());
        a.intern_func(&mut in_a, func(&[ValType::F32]));
        let id = a.intern_func(&mut in_a, func(&[ValType::I64]));
        assert_eq!(id, b.intern_func(&mut in_b, func(&[ValType::I64])));
        // Somebody else sits wherever another type wants to be.
        let group = vec![single(func(&[])), single(func(&[reference(HeapType::InGroup(0))]))];
        let hash = hash(&group);
        let wanted = |place: usize| (0..ATTEMPTS).map(move |n| wanted_id(hash, place, n));
        let squatter = b.get(id);
        let taken: HashSet<u32> = (0..2).flat_map(wanted).collect();
        b.write().types.extend(taken.iter().map(|&id| (id, squatter.clone())));
        let moved = b.intern_group(&mut in_b, group.clone()).to_vec();
        assert!(moved.iter().all(|id| !taken.contains(&id.0)) && moved[0] != moved[1]);
        assert_eq!(moved, b.intern_group(&mut in_b, group));
        assert_eq!(b.func(moved[1]).unwrap().params[0], reference(HeapType::Concrete(moved[0])));
    }

    #[test]
    fn members_of_a_group_that_want_the_same_id_get_different_ones() {
        let mut t = Tables::default();
        let own = HashSet::from([wanted_id(7, 0, 0)]);
        let id = t.free_id(7, 0, &own);
        assert_eq!(id, wanted_id(7, 0, 1));
        let own: HashSet<u32> = (0..ATTEMPTS).map(|a| wanted_id(7, 0, a)).collect();
        assert!(!own.contains(&t.free_id(7, 0, &own)));
    }

    #[test]
    fn types_go_with_their_last_holder_and_with_what_refers_to_them() {
        let (r, mut first) = (TypeRegistry::default(), HeldTypes::default());
        let a = r.intern_func(&mut first, func(&[ValType::I32]));
        let mut second = HeldTypes::default();
        let b = r.intern_func(&mut second, func(&[reference(HeapType::Concrete(a))]));
        let copy = second.clone();
        drop(first);
        drop(second);
        assert_eq!((r.len(), r.func(b).unwrap().params[0]), (2, reference(HeapType::Concrete(a))));
        let kept = r.get(a);
        drop(copy);
        assert!(r.is_empty() && r.read().groups.is_empty());
        assert!(matches!(&kept.composite, CompositeType::Func(f) if f.params[..] == [ValType::I32]));
        // Nobody can have a value of it.
        let mut third = HeldTypes::default();
        let c = r.intern_func(&mut third, func(&[reference(HeapType::Concrete(a))]));
        assert_eq!(r.func(c).unwrap().params[0], reference(HeapType::NoFunc));
        assert_eq!(r.hold(&mut third, HeapType::Concrete(a)), HeapType::NoFunc);
        assert_eq!(r.hold(&mut third, HeapType::Concrete(c)), HeapType::Concrete(c));
    }

    #[test]
    fn a_long_chain_of_types_goes_without_recursion() {
        let (r, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let mut last = r.intern_func(&mut held, func(&[]));
        for _ in 0..100_000 {
            let mut above = HeldTypes::default();
            last = r.intern_func(&mut above, func(&[reference(HeapType::Concrete(last))]));
            held = above;
        }
        assert_eq!(r.len(), 100_001);
        drop(held);
        assert!(r.is_empty());
    }

    #[test]
    fn many_singles_and_a_large_group_get_ids() {
        let (r, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let kinds = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
        let params = |n: u32| (0..9).map(|i| kinds[(n >> (2 * i) & 3) as usize]).collect::<Vec<_>>();
        let mut ids: Vec<TypeId> = (0..100_000).map(|n| r.intern_func(&mut held, func(&params(n)))).collect();
        let empty = SubType { is_final: true, supertype: None, composite: CompositeType::Struct([].into()) };
        ids.extend_from_slice(r.intern_group(&mut held, vec![empty; 100_000]));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 200_000);
        // None had to be looked for one by one.
        assert_eq!(r.read().spare, 0);
    }

    #[test]
    fn bottom_types_match_their_hierarchy_only() {
        let (r, mut held) = (TypeRegistry::default(), HeldTypes::default());
        let f = r.intern_func(&mut held, func(&[]));
        assert!(r.heap_matches(HeapType::NoFunc, HeapType::Concrete(f)));
        assert!(r.heap_matches(HeapType::Concrete(f), HeapType::Func));
        assert!(!r.heap_matches(HeapType::None, HeapType::Concrete(f)));
        assert!(!r.heap_matches(HeapType::Func, HeapType::Concrete(f)));
    }
}
