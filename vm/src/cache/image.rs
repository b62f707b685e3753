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

    /// Lets a code memory begin with the code.
    pub(crate) fn place(&self, memory: &mut CodeMemory) -> io::Result<()> {
        if !self.renamed.is_empty() {
            let code = self.renamed_code().ok_or(io::ErrorKind::InvalidData)?;
            return memory.write(&[(0, &code)]);
        }
        let range = self.file.head.range(Section::Code);
        let mapped = memory.map_file(self.file.map().file(), range.start as u64, range.len());
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
