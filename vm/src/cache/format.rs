//! Files of compiled code: entries of the cache and artifacts alike.
//!
//! In: a module with code of its functions. Out: a file that is mapped as it is, or what such a file says.
//!
//! ```text
//!   0     magic, format, build                     all versions of the format have these, so that the module
//!   16    where the module's bytes are, digest     in a file of another version can still be run
//!   64    digest of the first 1024 bytes without this and the next
//!   96    signature of that digest, or zeros
//!   128   head: what the code is for, sections, digest of all that follows
//!   1024  sections: meta | functions | pieces | tables | the module's bytes || memory image || code ||
//! ```
//!
//! `||` begins a page. Invariant: every byte of a file is covered by a digest; a [`File`] has been compared with its digests, or with the
//! identity that it had when it last was, and its ranges lie within the file.

use super::key::{Digest, Target, build, digest};
use crate::native::arrange::Adapter;
use crate::runtime::image::Run;
use crate::sys::{MappedFile, TRAP};
use jit::frontend::ModuleFacts;
use serde::{Deserialize, Serialize};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;
use wasm::SubType;

/// How files begin.
pub(crate) const MAGIC: [u8; 8] = *b"\x7fvmcode\n";
/// Changes with the layout of files.
const FORMAT: u32 = 3;
/// Bytes before the sections.
const HEADER: usize = 1024;
const DIGEST: Range<usize> = 64..96;
const SIGNATURE: Range<usize> = 96..128;
const HEAD: usize = 128;
/// What sections that are mapped on their own are aligned to.
pub(crate) const PAGE: u64 = 4096;

/// The sections, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    /// [`Meta`]
    Meta,
    /// Offset in the code of each of the module's own functions, or 0.
    Funcs,
    /// Of each piece of code, in order, its offset in the code, and that of its tables in theirs.
    Pieces,
    /// `Placed` of each piece.
    Tables,
    /// The module in the binary format.
    Wasm,
    /// Pages of memory 0 that active segments write to.
    Image,
    /// Machine code.
    Code,
}

const SECTIONS: usize = 7;

/// What can be known without looking at the sections.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) key: Digest,
    target: Target,
    /// Whether the code is for instances whose memory 0 is guarded.
    pub(crate) guarded: bool,
    /// Functions that have code, and how many there are.
    pub(crate) compiled: u32,
    pub(crate) functions: u32,
    /// Begin and length.
    sections: [(u64, u64); SECTIONS],
    body: Digest,
}

impl Head {
    /// What the code is for.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    pub(crate) fn range(&self, s: Section) -> Range<usize> {
        let (at, len) = self.sections[s as usize];
        at as usize..(at + len) as usize
    }
}

/// A recursion group of types: the module's index of its first member, and the members.
pub(crate) type Group = (u32, Vec<SubType>);

/// Everything that starting needs and that is not an array to be mapped.
#[derive(Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Recursion groups of the module's types, those first that others refer to.
    pub(crate) groups: Vec<Group>,
    pub(crate) module: wasm::Module,
    /// Whether all bodies have been found valid.
    pub(crate) validated: bool,
    pub(crate) facts: Option<ModuleFacts>,
    pub(crate) adapters: Vec<(Adapter, u32)>,
    pub(crate) stubs: Vec<(u32, u32)>,
    /// The parts of the memory image, if there is one, with offsets in its section.
    pub(crate) image: Option<Vec<Run>>,
}

/// What goes into a file.
pub(crate) struct Contents<'a> {
    pub(crate) target: Target,
    pub(crate) key: Digest,
    pub(crate) guarded: bool,
    pub(crate) compiled: u32,
    pub(crate) meta: &'a Meta,
    pub(crate) funcs: &'a [u32],
    pub(crate) pieces: &'a [(u32, u32)],
    pub(crate) tables: &'a [u8],
    pub(crate) wasm: &'a [u8],
    pub(crate) image: &'a [u8],
    /// Pieces of code with their offsets, in order.
    pub(crate) code: &'a [(usize, Vec<u8>)],
    pub(crate) code_len: usize,
}

/// Writes what it is given, and keeps a digest of it.
struct Writer<'w, W: Write + ?Sized> {
    out: &'w mut W,
    at: u64,
    hash: blake3::Hasher,
    sections: [(u64, u64); SECTIONS],
}

impl<W: Write + ?Sized> Writer<'_, W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn pad(&mut self, align: u64) -> io::Result<()> {
        let gap = self.at.next_multiple_of(align) - self.at;
        self.put(&[0; PAGE as usize][..gap as usize])
    }

    fn section(&mut self, s: Section, align: u64, write: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        self.pad(align)?;
        let from = self.at;
        write(self)?;
        self.sections[s as usize] = (from, self.at - from);
        Ok(())
    }
}

fn words(numbers: impl Iterator<Item = u32>) -> Vec<u8> {
    numbers.flat_map(u32::to_le_bytes).collect()
}

/// Writes a file; `sign` makes the signature of the digest, or zeros.
///
/// # Errors
/// Those of the output.
pub(crate) fn write(
    out: &mut (impl Write + Seek + ?Sized),
    c: &Contents<'_>,
    sign: impl FnOnce(&Digest) -> Digest,
) -> io::Result<()> {
    let meta = postcard::to_allocvec(c.meta).map_err(io::Error::other)?;
    out.write_all(&[0; HEADER])?;
    let mut w = Writer { out, at: HEADER as u64, hash: blake3::Hasher::new(), sections: [(0, 0); SECTIONS] };
    w.section(Section::Meta, 8, |w| w.put(&meta))?;
    w.section(Section::Funcs, 8, |w| w.put(&words(c.funcs.iter().copied())))?;
    w.section(Section::Pieces, 8, |w| w.put(&words(c.pieces.iter().flat_map(|p| [p.0, p.1]))))?;
    w.section(Section::Tables, 8, |w| w.put(c.tables))?;
    w.section(Section::Wasm, 8, |w| w.put(c.wasm))?;
    w.section(Section::Image, PAGE, |w| w.put(c.image))?;
    w.section(Section::Code, PAGE, |w| put_code(w, c))?;
    // The rest of the last page is executable with it.
    let gap = w.at.next_multiple_of(PAGE) - w.at;
    w.put(&[TRAP; PAGE as usize][..gap as usize])?;
    let head = Head {
        key: c.key,
        target: c.target,
        guarded: c.guarded,
        compiled: c.compiled,
        functions: c.funcs.len() as u32,
        sections: w.sections,
        body: *w.hash.finalize().as_bytes(),
    };
    let mut header = header(&head, c.wasm)?;
    let signature = sign(&digest_of(&header));
    header[SIGNATURE].copy_from_slice(&signature);
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header)
}

fn put_code<W: Write + ?Sized>(w: &mut Writer<'_, W>, c: &Contents<'_>) -> io::Result<()> {
    let from = w.at;
    // Between pieces, which begin at the next possible place, is what stops whoever gets there.
    let pad = |w: &mut Writer<'_, W>, at: usize| {
        let gap = from + at as u64 - w.at;
        w.put(&[TRAP; PAGE as usize][..gap as usize])
    };
    for (at, bytes) in c.code {
        pad(w, *at)?;
        w.put(bytes)?;
    }
    pad(w, c.code_len)
}

/// The first bytes of a file, without a signature.
fn header(head: &Head, wasm: &[u8]) -> io::Result<[u8; HEADER]> {
    let mut h = [0; HEADER];
    let head_bytes = postcard::to_allocvec(head).map_err(io::Error::other)?;
    let room = h.get_mut(HEAD..HEAD + head_bytes.len()).ok_or(io::ErrorKind::InvalidData)?;
    room.copy_from_slice(&head_bytes);
    h[..8].copy_from_slice(&MAGIC);
    h[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    h[12..16].copy_from_slice(&build().to_le_bytes());
    let range = head.range(Section::Wasm);
    h[16..24].copy_from_slice(&(range.start as u64).to_le_bytes());
    h[24..32].copy_from_slice(&(range.len() as u64).to_le_bytes());
    h[32..64].copy_from_slice(&digest(wasm));
    let own = digest_of(&h);
    h[DIGEST].copy_from_slice(&own);
    Ok(h)
}

/// The digest that a header should have.
fn digest_of(header: &[u8]) -> Digest {
    let mut h = blake3::Hasher::new();
    h.update(&header[..DIGEST.start]).update(&header[HEAD..HEADER]);
    *h.finalize().as_bytes()
}

/// Why a file cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Defect {
    /// It ends too early, contradicts itself or its digests.
    #[error("it is damaged")]
    Damaged,
    /// Another version wrote it.
    #[error("it was made by another version")]
    Version,
}

/// A file of compiled code.
pub(crate) struct CodeFile {
    map: Arc<MappedFile>,
    pub(crate) head: Head,
}

impl CodeFile {
    /// Looks at a file's header; with `full`, compares everything with its digest.
    pub(crate) fn read(map: Arc<MappedFile>, full: bool) -> Result<CodeFile, Defect> {
        let header = map.get(..HEADER).ok_or(Defect::Damaged)?;
        if header[..8] != MAGIC {
            return Err(Defect::Damaged);
        }
        if word(header, 8) != FORMAT || word(header, 12) != build() {
            return Err(Defect::Version);
        }
        if full && header[DIGEST] != digest_of(header) {
            return Err(Defect::Damaged);
        }
        // Zeros follow the head.
        let (head, _) = postcard::take_from_bytes::<Head>(&header[HEAD..]).map_err(|_| Defect::Damaged)?;
        let inside = |&(at, len): &(u64, u64)| at.checked_add(len).is_some_and(|end| end <= map.len() as u64);
        if !head.sections.iter().all(inside) || head.sections[Section::Code as usize].0 % PAGE != 0 {
            return Err(Defect::Damaged);
        }
        if full && digest(&map[HEADER..]) != head.body {
            return Err(Defect::Damaged);
        }
        Ok(CodeFile { map, head })
    }

    /// The bytes of the module in a file of any version, if they are intact.
    pub(crate) fn wasm_of(map: &MappedFile) -> Option<&[u8]> {
        let header = map.get(..HEADER)?;
        let at = u64::from_le_bytes(header[16..24].try_into().ok()?);
        let len = u64::from_le_bytes(header[24..32].try_into().ok()?);
        let bytes = map.get(usize::try_from(at).ok()?..usize::try_from(at.checked_add(len)?).ok()?)?;
        (digest(bytes) == header[32..64]).then_some(bytes)
    }

    /// Digest of the module's bytes.
    pub(crate) fn wasm_digest(&self) -> Digest {
        self.map[32..64].try_into().unwrap_or_default()
    }

    /// Whether everything is signed by whoever makes that signature of a digest.
    pub(crate) fn is_signed(&self, sign: impl FnOnce(&Digest) -> Digest) -> bool {
        let own: Digest = self.map[DIGEST].try_into().unwrap_or_default();
        let signature: Digest = self.map[SIGNATURE].try_into().unwrap_or_default();
        // Comparing takes the same time wherever they differ.
        blake3::Hash::from_bytes(sign(&own)) == blake3::Hash::from_bytes(signature)
    }

    pub(crate) fn map(&self) -> &Arc<MappedFile> {
        &self.map
    }

    /// A section's bytes.
    pub(crate) fn section(&self, s: Section) -> &[u8] {
        &self.map[self.head.range(s)]
    }

    pub(crate) fn meta(&self) -> Result<Meta, Defect> {
        postcard::from_bytes(self.section(Section::Meta)).map_err(|_| Defect::Damaged)
    }
}

/// A little-endian number.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}
