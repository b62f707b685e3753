//! Compiled code as it lies in a file.
//!
//! In: a file of compiled code that may be trusted. Out: the code in a module's code memory, and the tables of each piece of it.

use super::format::{CodeFile, Meta, Section, word};
use crate::native::arrange::{Adapter, Arrangement};
use crate::native::registry::Placed;
use crate::runtime::image::{MemoryImage, Run};
use crate::sys::CodeMemory;
use std::io;
use std::sync::Arc;

/// The code in a file.
pub(crate) struct CodeImage {
    file: CodeFile,
    adapters: Vec<(Adapter, u32)>,
    stubs: Vec<(u32, u32)>,
    runs: Option<Vec<Run>>,
}

impl CodeImage {
    pub(crate) fn new(file: CodeFile, meta: &mut Meta) -> CodeImage {
        let (adapters, stubs) = (std::mem::take(&mut meta.adapters), std::mem::take(&mut meta.stubs));
        CodeImage { file, adapters, stubs, runs: meta.image.take() }
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
        let i = low.checked_sub(1)?;
        let tables = self.file.section(Section::Tables).get(word(pieces, i * 8 + 4) as usize..)?;
        let placed = Placed::unpack(tables)?;
        (at - begin(i) <= placed.len).then(|| (begin(i), placed))
    }
}
