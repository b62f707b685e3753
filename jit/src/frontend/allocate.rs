//! Room for new objects.
//!
//! In: a type, and the length of an array. Out: the address of an object of zeros with its header. It is cut off the room that the size
//! class has at hand, or, on a cold way, made by a helper: when that is used up, for large objects, and where every
//! allocation is to collect garbage. Invariant: from the moment the room is taken until the object has its type no garbage is collected.

use super::builder::Builder;
use super::loads::Place;
use crate::abi::Helper;
use crate::ir::{Alias, Block, IntCc, MemKind, Op, Type, Value};
use wasm::layout::{bump, context, object};
use wasm::{EXACT_CLASSES, GRANULE, class_bytes, size_class};

/// Where an object of known or unknown size is taken from.
struct Room {
    /// Pointer to where the next object of the class goes, and displacement.
    pointer: Value,
    offset: i64,
    /// Bytes, as an i64.
    size: Value,
}

impl Builder<'_> {
    /// A struct of zeros.
    pub(super) fn new_struct(&mut self, ty: u32) -> Value {
        let bytes = self.struct_type(ty).size;
        let t = self.object_type(ty);
        let room = self.room_of(bytes);
        self.take(room, Value::NONE, t, None, Helper::StructNew, &[t])
    }

    /// An array of zeros.
    pub(super) fn new_array(&mut self, ty: u32, len: Value) -> Value {
        let width = self.elements(ty).width();
        let t = self.object_type(ty);
        let wide = self.wide(len);
        let (room, fits) = match self.f.as_iconst(len) {
            Some(n) => (self.room_of(object::ELEMENTS + ((n as u32 as usize) << width)), Value::NONE),
            None => {
                let most = (class_bytes(EXACT_CLASSES - 1) - object::ELEMENTS) >> width;
                let fits = self.icmp_const(IntCc::LeU, len, most as i64);
                (Some(self.room_of_elements(wide, width)), fits)
            }
        };
        let v = self.take(room, fits, t, Some(len), Helper::ArrayNew, &[t, wide]);
        self.remember_length(v, len);
        v
    }

    /// Remembers the length of a new array.
    pub(super) fn remember_length(&mut self, array: Value, len: Value) {
        let at = object::LEN as i64;
        if let Some(p) = Place::pointer(&self.f, Alias::Fixed, array, at, Type::I32, MemKind::Whole) {
            self.remember_first(p, len);
        }
    }

    fn bumps(&mut self) -> Value {
        let ctx = self.ctx();
        self.constant_load(Type::I64, ctx, context::BUMPS)
    }

    /// For an object of that size, if it has a class.
    fn room_of(&mut self, bytes: usize) -> Option<Room> {
        let class = size_class(bytes)?;
        let size = self.i64_const(class_bytes(class) as i64);
        Some(Room { pointer: self.bumps(), offset: (class * bump::SIZE) as i64, size })
    }

    /// For an array of so few elements that there is a class for each number of granules: their entries lie as far apart as their
    /// sizes.
    fn room_of_elements(&mut self, len: Value, width: u32) -> Room {
        const _: () = assert!(bump::SIZE == GRANULE && object::ELEMENTS == GRANULE);
        let bytes = self.bin_const(Op::Shl, Type::I64, len, i64::from(width));
        let up = self.bin_const(Op::Add, Type::I64, bytes, GRANULE as i64 - 1);
        let elements = self.bin_const(Op::And, Type::I64, up, -(GRANULE as i64));
        let bumps = self.bumps();
        let pointer = self.bin(Op::Add, Type::I64, bumps, elements);
        Room { pointer, offset: 0, size: self.bin_const(Op::Add, Type::I64, elements, object::ELEMENTS as i64) }
    }

    /// Takes room for an object, if there is a class for its size (`fits`, where that is not known) and some at hand, else calls the
    /// helper.
    fn take(
        &mut self,
        room: Option<Room>,
        fits: Value,
        ty: Value,
        len: Option<Value>,
        helper: Helper,
        args: &[Value],
    ) -> Value {
        let Some(room) = room else { return self.helper(helper, args) };
        let before = self.block;
        let mut slow: Vec<Block> = Vec::new();
        if fits != Value::NONE {
            let Some((yes, no)) = self.fork(fits) else { return self.helper(helper, args) };
            slow.push(no);
            self.enter(yes);
        }
        let at = self.pointer_load(Type::I64, room.pointer, room.offset + bump::NEXT as i64, Alias::Other);
        let end = self.pointer_load(Type::I64, room.pointer, room.offset + bump::END as i64, Alias::Other);
        let next = self.bin(Op::Add, Type::I64, at, room.size);
        let full = self.icmp(IntCc::GtU, next, end);
        let Some((no, yes)) = self.fork(full) else { return self.helper(helper, args) };
        slow.push(no);
        self.enter(yes);
        self.pointer_store(room.pointer, room.offset + bump::NEXT as i64, next, Alias::Other);
        self.pointer_store(at, object::TYPE as i64, ty, Alias::Other);
        if let Some(len) = len.filter(|&l| self.f.as_iconst(l) != Some(0)) {
            self.pointer_store(at, object::LEN as i64, len, Alias::Other);
        }
        let fast = self.block;
        self.join(before, &slow);
        self.f.blocks[self.block.index()].cold = true;
        let made = self.helper(helper, args);
        let made_in = self.block;
        let join = self.new_block(before);
        let v = self.f.new_param(join, Type::I64);
        self.jump(fast, join, &[at]);
        self.jump(made_in, join, &[made]);
        self.enter(join);
        v
    }
}
