//! From an address of machine code to what it belongs to.
//!
//! In: placed code with its tables. Out: for a program counter, the code that contains it. Tables of code from a file are
//! read when they are first asked for. Lookups lock, so they are made outside signal handlers only (which ask
//! `sys::code::is_code`).

use crate::cache::CodeImage;
use crate::module::ModuleInner;
use jit::abi::TrapCode;
use jit::{Code, CodeStats, Entry, Landing, Place, Reloc, RelocTarget, TrapSite};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, Weak};
use wasm::TypeId;

/// What a piece of placed code is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Piece {
    /// A function of the module's own, or its rest from a loop on.
    Func(u32, Entry),
    /// An adapter by which the interpreter enters: the end of a stretch of native frames.
    EntryAdapter,
    /// Any other adapter.
    Adapter,
}

/// Code in its place, with its tables.
#[derive(Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) piece: Piece,
    /// Bytes of instructions.
    pub(crate) len: u32,
    /// The same and the constants behind them.
    size: u32,
    frame_size: u32,
    prologue: Vec<(u32, u32)>,
    traps: Vec<TrapSite>,
    calls: Vec<(u32, u32)>,
    landings: Vec<Landing>,
    tags: Vec<Box<[u32]>>,
    places: Vec<Place>,
    relocs: Vec<Reloc>,
    /// Registers that lie right below the return address, a bit each, by ascending number.
    pub(crate) saved: u32,
}

impl Placed {
    pub(crate) fn new(piece: Piece, code: Code, size: usize) -> Placed {
        let Code { code_len, frame_size, saved, prologue, traps, calls, landings, tags, places, relocs, .. } = code;
        let (len, size) = (code_len, size as u32);
        Placed { piece, len, size, frame_size, prologue, traps, calls, landings, tags, places, relocs, saved }
    }

    /// The same as the compiler made it, without the bytes.
    pub(crate) fn tables(&self) -> Code {
        Code {
            bytes: Vec::new(),
            code_len: self.len,
            frame_size: self.frame_size,
            saved: self.saved,
            prologue: self.prologue.clone(),
            relocs: self.relocs.clone(),
            traps: self.traps.clone(),
            calls: self.calls.clone(),
            landings: self.landings.clone(),
            tags: self.tags.clone(),
            places: self.places.clone(),
            stats: CodeStats::default(),
        }
    }

    /// Bytes for a file: offsets as distances, which are short.
    pub(crate) fn pack(mut self) -> Option<Vec<u8>> {
        let (mut at, mut wasm) = (0, 0);
        for t in &mut self.traps {
            (t.at, at) = (t.at.wrapping_sub(at), t.at);
            (t.wasm, wasm) = (zigzag(t.wasm.wrapping_sub(wasm)), t.wasm);
        }
        (at, wasm) = (0, 0);
        for c in &mut self.calls {
            (c.0, at) = (c.0.wrapping_sub(at), c.0);
            (c.1, wasm) = (zigzag(c.1.wrapping_sub(wasm)), c.1);
        }
        postcard::to_allocvec(&self).ok()
    }

    /// What [`pack`](Self::pack) has written at the beginning of these bytes.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Placed> {
        let (mut placed, _) = postcard::take_from_bytes::<Placed>(bytes).ok()?;
        let (mut at, mut wasm) = (0, 0);
        for t in &mut placed.traps {
            t.at = t.at.wrapping_add(at);
            t.wasm = unzigzag(t.wasm).wrapping_add(wasm);
            (at, wasm) = (t.at, t.wasm);
        }
        (at, wasm) = (0, 0);
        for c in &mut placed.calls {
            c.0 = c.0.wrapping_add(at);
            c.1 = unzigzag(c.1).wrapping_add(wasm);
            (at, wasm) = (c.0, c.1);
        }
        Some(placed)
    }

    /// Where ids of types are in the code, and whose.
    pub(crate) fn type_ids(&self) -> impl Iterator<Item = (u32, TypeId)> {
        let id = |r: &Reloc| if let RelocTarget::TypeId(id) = r.target { Some((r.at, id)) } else { None };
        self.relocs.iter().filter_map(id)
    }

    /// Knows types by other ids from now on.
    pub(crate) fn rename(&mut self, to: &impl Fn(TypeId) -> TypeId) {
        for r in &mut self.relocs {
            if let RelocTarget::TypeId(id) | RelocTarget::ReferenceAdapter(id) = &mut r.target {
                *id = to(*id);
            }
        }
    }

    /// Offsets of the distances of relative calls.
    pub(crate) fn calls_by_offset(&self) -> impl Iterator<Item = usize> {
        self.relocs.iter().filter(|r| !matches!(r.target, RelocTarget::TypeId(_))).map(|r| r.at as usize)
    }

    /// Bytes of instructions and constants.
    pub(crate) fn size(&self) -> usize {
        self.size as usize
    }

    /// Distance from the stack pointer to the return address at an instruction.
    pub(crate) fn frame_size(&self, at: u32) -> u32 {
        let i = self.prologue.partition_point(|&(from, _)| from <= at);
        i.checked_sub(1).map_or(self.frame_size, |i| self.prologue[i].1)
    }

    /// The same at a call.
    pub(crate) fn full_frame(&self) -> u32 {
        self.frame_size
    }

    /// The trap at an instruction: why, and the position.
    pub(crate) fn trap(&self, at: u32) -> Option<(TrapCode, u32)> {
        let i = self.traps.binary_search_by_key(&at, |t| t.at).ok()?;
        Some((self.traps[i].code, self.traps[i].wasm))
    }

    /// Where code goes on after an exception from the call that returns to an instruction, if it may catch one of which `is` says
    /// whether it has a tag.
    pub(crate) fn landing(&self, at: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let i = self.landings.binary_search_by_key(&at, |l| l.at).ok()?;
        let Landing { to, tags, .. } = self.landings[i];
        let tags = usize::from(tags).checked_sub(1).and_then(|list| self.tags.get(list));
        tags.is_none_or(|tags| tags.iter().any(|&t| is(t))).then_some(to)
    }

    /// Position of the call that returns to an instruction, or failing that of what comes before it.
    pub(crate) fn call(&self, at: u32) -> Option<u32> {
        let i = self.calls.partition_point(|&(from, _)| from <= at);
        self.calls.get(i.checked_sub(1)?).map(|c| c.1)
    }

    /// The same for a fault without an entry of its own: what is nearest.
    pub(crate) fn near(&self, at: u32) -> Option<u32> {
        let call = self.calls.get(self.calls.partition_point(|&(from, _)| from <= at)).map(|c| c.1);
        let near = call.or_else(|| self.call(at))?;
        // Where the frame is made, no function that was built into this one has begun.
        let begins = self.prologue.last().is_some_and(|&(end, _)| at < end);
        Some(if begins { Place::outermost(&self.places, near) } else { near })
    }

    /// The functions that are at a position of this one's code, innermost first, with offsets in the module.
    pub(crate) fn frames(&self, own_func: u32, position: Option<u32>) -> impl Iterator<Item = (u32, Option<u32>)> {
        let place = |position: Option<u32>| position.and_then(|p| Place::at(&self.places, p));
        std::iter::successors(Some(position), move |&p| place(p).map(|p| Some(p.caller))).map(move |position| {
            match place(position) {
                Some(p) => (p.own_func, Some(p.wasm)),
                None => (own_func, position),
            }
        })
    }
}

/// A signed distance as a number that is small if the distance is.
fn zigzag(n: u32) -> u32 {
    n << 1 ^ ((n as i32) >> 31) as u32
}

fn unzigzag(n: u32) -> u32 {
    n >> 1 ^ (n & 1).wrapping_neg()
}

/// The placed code of one module's code memory.
pub(crate) struct CodeMap {
    start: usize,
    end: usize,
    pub(crate) module: Weak<ModuleInner>,
    /// What lies at the beginning.
    image: Option<Arc<CodeImage>>,
    /// By address; of the image what has been asked for.
    placed: Mutex<BTreeMap<usize, Arc<Placed>>>,
}

static MAPS: RwLock<BTreeMap<usize, Arc<CodeMap>>> = RwLock::new(BTreeMap::new());

impl CodeMap {
    /// Makes and registers the map of a range of code memory.
    pub(crate) fn register(
        start: usize,
        len: usize,
        module: Weak<ModuleInner>,
        image: Option<Arc<CodeImage>>,
    ) -> Arc<CodeMap> {
        let map = Arc::new(CodeMap { start, end: start + len, module, image, placed: Mutex::default() });
        MAPS.write().unwrap_or_else(|e| e.into_inner()).insert(start, map.clone());
        map
    }

    /// Forgets it; to be called before the memory is unmapped.
    pub(crate) fn unregister(&self) {
        MAPS.write().unwrap_or_else(|e| e.into_inner()).remove(&self.start);
    }

    pub(crate) fn insert(&self, address: usize, placed: Placed) {
        self.lock().insert(address, Arc::new(placed));
    }

    /// The code that begins at an address.
    pub(crate) fn at(&self, address: usize) -> Option<Arc<Placed>> {
        self.find(address).filter(|(start, _)| *start == address).map(|(_, placed)| placed)
    }

    /// The code that contains an address, or ends there, and where it begins.
    fn find(&self, pc: usize) -> Option<(usize, Arc<Placed>)> {
        let mut placed = self.lock();
        let known = placed.range(..=pc).next_back().map(|(&start, code)| (start, code.clone()));
        // What of the image is known may end where something begins that is not.
        let known = known.filter(|(start, code)| pc - start <= code.len as usize);
        if let Some((start, code)) = &known
            && (pc - start < code.len as usize || self.image.is_none())
        {
            return known;
        }
        let found = self.image.as_ref().and_then(|image| image.find((pc - self.start) as u32));
        let Some((at, code)) = found else { return known };
        let (start, code) = (self.start + at as usize, Arc::new(code));
        placed.insert(start, code.clone());
        Some((start, code))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<Placed>>> {
        self.placed.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What contains an address: the map, the code, and the offset in it.
pub(crate) fn find(pc: usize) -> Option<(Arc<CodeMap>, Arc<Placed>, u32)> {
    let maps = MAPS.read().unwrap_or_else(|e| e.into_inner());
    let (_, map) = maps.range(..=pc).next_back()?;
    if pc >= map.end {
        return None;
    }
    // A return address may be one behind the last instruction.
    let (start, code) = map.find(pc)?;
    Some((map.clone(), code, (pc - start) as u32))
}

/// What contains an address, and where it begins.
pub(crate) struct Found {
    pub(crate) map: Arc<CodeMap>,
    pub(crate) code: Arc<Placed>,
    start: usize,
}

/// What a store has found lately, by address: a walk over many frames meets few addresses. Code of a store's frames stays as long as the
/// store, so nothing in here gets out of date.
#[derive(Default)]
pub(crate) struct Lately {
    entries: Vec<Option<(usize, Arc<Found>)>>,
}

const LATELY: usize = 128;

impl Lately {
    /// As [`find`].
    pub(crate) fn find(&mut self, pc: usize) -> Option<(Arc<Found>, u32)> {
        if self.entries.is_empty() {
            self.entries.resize(LATELY, None);
        }
        let entry = &mut self.entries[(pc ^ pc >> 7) % LATELY];
        let found = match entry {
            Some((known, found)) if *known == pc => found.clone(),
            _ => {
                let (map, code, at) = find(pc)?;
                let found = Arc::new(Found { map, code, start: pc - at as usize });
                *entry = Some((pc, found.clone()));
                found
            }
        };
        let at = (pc - found.start) as u32;
        Some((found, at))
    }
}
