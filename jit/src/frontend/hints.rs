//! Branch hints: which way a branch is expected to go.
//!
//! In: the custom section `metadata.code.branch_hint`. Out: blocks that a hint says are unlikely, as cold. A section that is malformed
//! in any way counts as none, since nothing depends on it but where code lies.
//!
//! A hint compares the two ways from one branch. A way out of a loop is taken once however unlikely each time, and
//! may lead to most of the function: it is not called cold, nor is what a branch out of a loop comes from.

use super::builder::Builder;
use super::control::Kind;
use crate::ir::Block;
use crate::passes::Pass;
use serde::{Deserialize, Serialize};
use wasm::Module;
use wasmparser::{BinaryReader, BranchHintSectionReader};

/// The hints of a module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct BranchHints {
    /// Offset in the module of the instruction, ascending, and whether the branch is likely to be taken.
    likely: Vec<(u32, bool)>,
}

impl BranchHints {
    /// Reads the section if there is one.
    pub(super) fn new(module: &Module, bytes: &[u8]) -> BranchHints {
        let section = module.custom_sections.iter().find(|(name, _)| &**name == "metadata.code.branch_hint");
        let data = section.and_then(|(_, range)| bytes.get(range.clone()));
        data.and_then(|data| read(module, data)).unwrap_or_default()
    }

    /// Whether the branch at an offset in the module is likely to be taken, if anything is said of it.
    fn get(&self, at: u32) -> Option<bool> {
        let i = self.likely.binary_search_by_key(&at, |h| h.0).ok()?;
        Some(self.likely[i].1)
    }
}

/// The hints of a section, unless it is malformed.
fn read(module: &Module, data: &[u8]) -> Option<BranchHints> {
    let mut likely = Vec::new();
    for function in BranchHintSectionReader::new(BinaryReader::new(data, 0)).ok()? {
        let function = function.ok()?;
        let body = module.bodies.get(module.own_func(function.func)? as usize)?;
        for hint in function.hints {
            let hint = hint.ok()?;
            let at = body.start.checked_add(hint.func_offset).filter(|&at| at < body.end)?;
            likely.push((at, hint.taken));
        }
    }
    likely.sort_unstable_by_key(|h| h.0);
    likely.dedup_by_key(|h| h.0);
    Some(BranchHints { likely })
}

impl Builder<'_> {
    /// What is said of the present branch.
    pub(super) fn hint(&self) -> Option<bool> {
        self.facts.hints.get(self.pos).filter(|_| self.settings.passes.has(Pass::Hints))
    }

    /// Follows the hint for a branch to the end of frame `index`, which goes to `taken` or, else, on in `on`.
    pub(super) fn hint_branch(&mut self, index: usize, taken: Block, on: Block) {
        let Some(likely) = self.hint() else { return };
        let leaves = self.control[index..].iter().any(|f| matches!(f.kind, Kind::Loop(_)));
        if likely && !matches!(self.control[index].kind, Kind::Loop(_)) {
            self.call_cold(index, on);
        } else if !likely && !leaves {
            self.f.blocks[taken.index()].cold = true;
        }
    }

    /// Marks a block cold, from which on everything is until the end of a frame.
    pub(super) fn call_cold(&mut self, index: usize, block: Block) {
        self.f.blocks[block.index()].cold = true;
        self.control[index].unlikely.push(block);
    }

    /// Where a branch to a frame's label leaves a loop: what in that loop was called cold, and leads here, is not after all.
    pub(super) fn leave_unlikely(&mut self, index: usize) {
        if self.facts.hints.likely.is_empty() {
            return;
        }
        let outermost = self.control[index + 1..].iter().position(|f| matches!(f.kind, Kind::Loop(_)));
        let Some(outermost) = outermost.map(|n| index + 1 + n) else { return };
        for frame in &mut self.control[outermost + 1..] {
            for block in frame.unlikely.drain(..) {
                self.f.blocks[block.index()].cold = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::Switches;
    use wasm::TypeRegistry;

    /// What is read of a section put behind a module with one function.
    fn read_section(section: &[u8]) -> Vec<(u32, bool)> {
        let name = b"metadata.code.branch_hint";
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        bytes.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0]);
        bytes.extend([0, (1 + name.len() + section.len()) as u8, name.len() as u8]);
        bytes.extend(name);
        bytes.extend(section);
        bytes.extend([10, 11, 1, 9, 0, 2, 0x40, 0x41, 0, 0x0d, 0, 0x0b, 0x0b]);
        let body = bytes.len() - 9;
        let module = wasm::parse(&bytes, wasm::default_features(), &TypeRegistry::default()).expect("a module");
        assert_eq!(module.bodies[0].start as usize, body);
        let hints = BranchHints::new(&module, &bytes).likely;
        hints.into_iter().map(|(at, likely)| (at - body as u32, likely)).collect()
    }

    #[test]
    fn sections_are_read_or_ignored() {
        assert_eq!(read_section(&[1, 0, 1, 5, 1, 0]), [(5, false)]);
        assert_eq!(read_section(&[1, 0, 2, 5, 1, 1, 3, 1, 0]), [(3, false), (5, true)]);
        let malformed: [&[u8]; 9] = [
            &[],
            &[1],
            &[1, 0, 1, 5, 1],
            &[1, 0, 1, 5, 2, 0, 0],
            &[1, 0, 1, 5, 1, 2],
            &[1, 1, 1, 5, 1, 0],
            &[1, 0, 1, 100, 1, 0],
            &[0xff, 0xff, 0xff, 0xff, 0x0f, 0],
            &[1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 5, 1, 0],
        ];
        for section in malformed {
            assert_eq!(read_section(section), [], "{section:?}");
        }
    }

    /// Where the blocks of a function lie that has two arms.
    fn layout(hint: &str) -> Vec<Block> {
        let text = format!(
            "(module (func (param i32) (result i32) {hint}
               (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.mul (local.get 0) (i32.const 5))))))"
        );
        let bytes = wat::parse_str(text).expect("a module");
        let types = TypeRegistry::default();
        let module = wasm::parse(&bytes, wasm::default_features(), &types).expect("a module");
        let facts = crate::frontend::ModuleFacts::new(&module, &bytes, &types);
        let env = crate::ModuleEnv { module: &module, bytes: &bytes, types: &types, facts: &facts };
        let settings = crate::Settings {
            guarded: true,
            passes: Switches::default().without(Pass::IfConvert),
            ..crate::Settings::default()
        };
        let mut f = crate::frontend::build(&env, 0, crate::Entry::Function, &settings).expect("it can be compiled");
        crate::passes::run(&mut f, &settings, &mut |_, _, _| {});
        crate::schedule::run(&mut f, &settings).layout
    }

    #[test]
    fn hints_decide_what_lies_at_the_end() {
        let [yes, no] = [Block(1), Block(2)];
        assert_eq!(layout("(@metadata.code.branch_hint \"\\00\")").last(), Some(&yes));
        assert_eq!(layout("(@metadata.code.branch_hint \"\\01\")").last(), Some(&no));
        assert_ne!(layout("").last(), Some(&yes));
        assert_ne!(layout("").last(), Some(&no));
    }
}
