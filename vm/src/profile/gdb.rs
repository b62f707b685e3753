//! GDB's interface for code made at run time: a list of object files in memory, and a function with a breakpoint.
//!
//! Each function is an ELF file of its own with one symbol. The names of the two symbols below are what GDB looks for.

use super::Published;
use std::ptr;
use std::sync::Mutex;

#[repr(C)]
struct CodeEntry {
    next: *mut CodeEntry,
    prev: *mut CodeEntry,
    file: *const u8,
    size: u64,
}

#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut CodeEntry,
    first: *mut CodeEntry,
}

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

#[unsafe(no_mangle)]
static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: 0, relevant: ptr::null_mut(), first: ptr::null_mut() };

/// GDB stops here and reads the descriptor.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn __jit_debug_register_code() {
    std::hint::black_box(());
}

/// Held while the list changes.
static LIST: Mutex<()> = Mutex::new(());

/// An entry of the list; leaves it when dropped.
pub(crate) struct Registered {
    entry: *mut CodeEntry,
    _file: Vec<u8>,
}

// SAFETY: the entry is only touched while `LIST` is held.
unsafe impl Send for Registered {}

/// Tells GDB of a function.
pub(super) fn register(p: &Published<'_>) -> Registered {
    let file = elf(p);
    let entry =
        CodeEntry { next: ptr::null_mut(), prev: ptr::null_mut(), file: file.as_ptr(), size: file.len() as u64 };
    let entry = Box::into_raw(Box::new(entry));
    let _list = LIST.lock().unwrap_or_else(|e| e.into_inner());
    // SAFETY: the lock is held; entries in the list are alive.
    unsafe {
        let d = &raw mut __jit_debug_descriptor;
        (*entry).next = (*d).first;
        if !(*d).first.is_null() {
            (*(*d).first).prev = entry;
        }
        ((*d).first, (*d).relevant, (*d).action) = (entry, entry, REGISTER);
    }
    __jit_debug_register_code();
    Registered { entry, _file: file }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let _list = LIST.lock().unwrap_or_else(|e| e.into_inner());
        // SAFETY: the lock is held; the entry came from `Box::into_raw` and is freed once, after it has left the list.
        unsafe {
            let d = &raw mut __jit_debug_descriptor;
            let (next, prev) = ((*self.entry).next, (*self.entry).prev);
            match prev.as_mut() {
                Some(p) => p.next = next,
                None => (*d).first = next,
            }
            if let Some(n) = next.as_mut() {
                n.prev = prev;
            }
            ((*d).relevant, (*d).action) = (self.entry, UNREGISTER);
            __jit_debug_register_code();
            drop(Box::from_raw(self.entry));
        }
    }
}

const SYMBOL: usize = 24;
const SECTION: usize = 64;
const FILE_HEADER: usize = 64;

/// An ELF file whose text is the code where it is.
fn elf(p: &Published<'_>) -> Vec<u8> {
    let names = b"\0.text\0.symtab\0.strtab\0";
    let mut strings = vec![0];
    strings.extend(p.name.bytes().filter(|&b| b != 0));
    strings.push(0);
    // Section names and symbol names follow the header, then the symbols, then the section headers.
    let strings_at = FILE_HEADER + names.len();
    let symbols_at = (strings_at + strings.len()).next_multiple_of(8);
    let sections_at = symbols_at + 2 * SYMBOL;
    let mut f = Vec::with_capacity(sections_at + 5 * SECTION);
    header(&mut f, sections_at);
    f.extend(names);
    f.extend(&strings);
    f.resize(symbols_at + SYMBOL, 0);
    // A global function at the begin of section 1.
    f.extend(1u32.to_le_bytes());
    f.extend([0x12, 0, 1, 0]);
    f.extend(0u64.to_le_bytes());
    f.extend((p.code.len() as u64).to_le_bytes());
    let size = p.code.len();
    f.resize(f.len() + SECTION, 0);
    // Name, type, flags, address, offset, size, link, info, entry size.
    section(&mut f, [1, 8, 6, p.address as u64, 0, size as u64, 0, 0, 0]);
    section(&mut f, [7, 2, 0, 0, symbols_at as u64, 2 * SYMBOL as u64, 3, 1, SYMBOL as u64]);
    section(&mut f, [15, 3, 0, 0, strings_at as u64, strings.len() as u64, 0, 0, 0]);
    section(&mut f, [0, 3, 0, 0, FILE_HEADER as u64, names.len() as u64, 0, 0, 0]);
    f
}

fn header(f: &mut Vec<u8>, sections_at: usize) {
    f.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    f.resize(16, 0);
    let machine: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    // A relocatable file.
    f.extend(1u16.to_le_bytes());
    f.extend(machine.to_le_bytes());
    f.extend(1u32.to_le_bytes());
    f.extend([0; 16]);
    f.extend((sections_at as u64).to_le_bytes());
    f.extend(0u32.to_le_bytes());
    for half in [FILE_HEADER as u16, 0, 0, SECTION as u16, 5, 4] {
        f.extend(half.to_le_bytes());
    }
}

fn section(f: &mut Vec<u8>, [name, ty, flags, address, offset, size, link, info, entry]: [u64; 9]) {
    f.extend((name as u32).to_le_bytes());
    f.extend((ty as u32).to_le_bytes());
    for word in [flags, address, offset, size] {
        f.extend(word.to_le_bytes());
    }
    f.extend((link as u32).to_le_bytes());
    f.extend((info as u32).to_le_bytes());
    f.extend(16u64.to_le_bytes());
    f.extend(entry.to_le_bytes());
}
