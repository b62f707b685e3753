//! `vm inspect`: what a module imports, exports and consists of, and the code of one function.

use crate::args::{InspectArgs, Stage};
use crate::exit::Exit;
use crate::{module, output, settings};
use std::fmt::{Display, Write};
use vm::{Config, Engine, Module};

/// Names of the sections, by their id.
const SECTIONS: [&str; 14] = [
    "custom",
    "type",
    "import",
    "function",
    "table",
    "memory",
    "global",
    "export",
    "start",
    "element",
    "code",
    "data",
    "data count",
    "tag",
];

/// How many of the largest functions are listed.
const LARGEST: usize = 10;

pub(crate) fn run(args: &InspectArgs) -> Result<(), Exit> {
    let mut config = Config::new();
    config.interruption(args.interruptible).fuel(args.fuel);
    settings::compiler(&mut config, &args.compiler)?;
    let engine = Engine::new(&config).map_err(|e| Exit::failure(e.to_string()))?;
    let module = module::load(&engine, &args.file)?;
    let text = match &args.func {
        Some(func) => {
            function(&module, func, args.stage).map_err(|e| Exit::failure(format!("{}: {e}", args.file.display())))?
        }
        None => summary(&module, &args.file.display()),
    };
    output::print(&text)
}

/// The code of a function, given by index or name.
fn function(module: &Module, wanted: &str, stage: Stage) -> Result<String, String> {
    let count = module.function_count();
    let by_name = || (0..count).find(|&i| module.func_name(i).as_deref() == Some(wanted));
    let index = match wanted.parse::<u32>() {
        Ok(index) if index < count => index,
        _ => by_name()
            .ok_or_else(|| format!("no function `{wanted}`: give the name of one, or an index below {count}"))?,
    };
    let mut text = format!("function {index}");
    if let Some(name) = module.func_name(index) {
        let _ = write!(text, " ({name})"); // writing to a String does not fail
    }
    if let Some(ty) = module.function_type(index) {
        let _ = write!(text, ": {ty}");
    }
    let Some(body) = module.function_body(index) else {
        return Ok(text + "\nimported: it has no code here\n");
    };
    let _ = write!(text, ", {} bytes at offset {:#x}\n\n", body.len(), body.start);
    let code = match stage {
        Stage::Bytecode => module.disassemble(index),
        Stage::Of(stage) => module.inspect(index, stage),
    };
    text.push_str(&code.map_err(|e| e.to_string())?);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Everything but code.
fn summary(module: &Module, file: &dyn Display) -> String {
    let mut text = format!("{file}: {} bytes", module.bytes().len());
    if let Some(name) = module.name() {
        let _ = write!(text, ", module `{name}`");
    }
    text.push('\n');
    let sections = sections(module.bytes());
    list(&mut text, "sections", sections.iter().map(|(name, size)| (name.clone(), format!("{size} bytes"))));
    let imports = module.imports().map(|i| (format!("{}.{}", i.module(), i.name()), i.ty().to_string()));
    list(&mut text, "imports", imports);
    list(&mut text, "exports", module.exports().map(|e| (e.name().to_string(), e.ty().to_string())));
    let memories = module.memories().iter().enumerate();
    list(&mut text, "memories", memories.map(|(i, m)| (i.to_string(), vm::ExternType::Memory(*m).to_string())));
    functions(&mut text, module);
    text
}

/// Number of functions, and the largest.
fn functions(text: &mut String, module: &Module) {
    let mut sizes: Vec<(usize, u32)> =
        (0..module.function_count()).filter_map(|i| Some((module.function_body(i)?.len(), i))).collect();
    let total: usize = sizes.iter().map(|(size, _)| size).sum();
    let imported = module.function_count() as usize - sizes.len();
    let _ = writeln!(text, "\nfunctions: {} imported, {} of its own with {total} bytes", imported, sizes.len());
    sizes.sort_unstable_by_key(|&(size, index)| (std::cmp::Reverse(size), index));
    let largest = sizes.iter().take(LARGEST).map(|&(size, index)| {
        let name = module.func_name(index).unwrap_or_default();
        (format!("{index} {name}").trim_end().to_string(), format!("{size} bytes"))
    });
    list(text, "largest functions", largest);
}

/// A heading with a number, and items in two columns; nothing at all without items.
fn list(text: &mut String, heading: &str, items: impl Iterator<Item = (String, String)>) {
    /// Names beyond this width do not push the second column further.
    const WIDEST: usize = 48;
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        return;
    }
    let width = items.iter().map(|(name, _)| name.chars().count()).filter(|w| *w <= WIDEST).max().unwrap_or(0);
    let _ = writeln!(text, "\n{heading} ({})", items.len());
    for (name, what) in items {
        let _ = writeln!(text, "  {name:width$}  {what}");
    }
}

/// Name and size of each section of a module that has been read without error.
fn sections(bytes: &[u8]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((&id, after_id)) = rest.split_first() {
        let Some((size, content)) = leb128(after_id) else { break };
        let Some((content, next)) = content.split_at_checked(size) else { break };
        let name = match SECTIONS.get(usize::from(id)) {
            Some(&"custom") => format!("custom {}", custom_name(content)),
            Some(name) => name.to_string(),
            None => format!("section {id}"),
        };
        found.push((name, size));
        rest = next;
    }
    found
}

fn custom_name(content: &[u8]) -> String {
    let name = leb128(content).and_then(|(len, rest)| rest.get(..len)).unwrap_or_default();
    format!("{:?}", String::from_utf8_lossy(name))
}

/// An unsigned number in LEB128, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_walked_and_damage_ends_the_walk() {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        bytes.extend([1, 4, 1, 0x60, 0, 0]);
        bytes.extend([0, 5, 2, b'h', b'i', 9, 9]);
        let expected = [("type".to_string(), 4), ("custom \"hi\"".to_string(), 5)];
        assert_eq!(sections(&bytes), expected);
        bytes.extend([3, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]);
        assert_eq!(sections(&bytes), expected);
        assert!(sections(b"\0asm").is_empty());
    }
}
