//! Imports that nothing provides: what to do about them, and what would provide them.
//!
//! In: a linker with everything defined that there is, and the module. Out: the linker completed as
//! `--unknown-imports` says, or one message that lists all that is missing.

use crate::args::UnknownImports;
use crate::exit::Exit;
use std::collections::BTreeMap;
use std::fmt::Write;
use vm::{Linker, Module};

/// Most imports that one message lists.
const SHOWN: usize = 50;

/// Modules whose imports come from some other environment: how their names begin, and what that means.
const ENVIRONMENTS: &[(&str, &str)] = &[
    ("wasi:", COMPONENT),
    ("wasi_snapshot_preview2", COMPONENT),
    ("cm32p2", COMPONENT),
    ("wasix_", "WASIX is not supported: build for plain WASI preview 1 (target wasm32-wasip1)"),
    ("wasi_nn", "wasi-nn is not part of this version"),
    ("wasi_ephemeral_", "this draft of a WASI interface is not part of this version"),
    ("wasi", "this interface is not part of this version, which has wasi_snapshot_preview1 and wasi_unstable"),
    ("gojs", JAVASCRIPT_GO),
    ("go", JAVASCRIPT_GO),
    ("wbg", JAVASCRIPT_BINDGEN),
    ("__wbindgen", JAVASCRIPT_BINDGEN),
    ("asyncify", "build without Emscripten's asyncify"),
    ("a", "one-letter names are those of Emscripten's minified output for JavaScript: build with -sSTANDALONE_WASM"),
];
const COMPONENT: &str =
    "an interface of the component model: build as a core module for WASI preview 1 (target wasm32-wasip1)";
const JAVASCRIPT_GO: &str = "built for a JavaScript host: build with GOOS=wasip1 GOARCH=wasm";
const JAVASCRIPT_BINDGEN: &str = "built by wasm-bindgen for a JavaScript host: build with --target wasm32-wasip1";

/// Completes the linker, or says what is missing.
pub(crate) fn complete<T: 'static>(
    linker: &mut Linker<T>,
    module: &Module,
    file: &str,
    policy: UnknownImports,
) -> Result<(), Exit> {
    let completed = match policy {
        UnknownImports::Trap => linker.define_unknown_imports_as_traps(module),
        UnknownImports::Default => linker.define_unknown_imports_as_default_values(module),
        UnknownImports::Error => {
            let missing = linker.missing_imports(module);
            if missing.is_empty() {
                return Ok(());
            }
            let missing: Vec<Missing> = missing
                .iter()
                .map(|i| Missing { module: i.module().into(), name: i.name().into(), ty: i.ty().to_string() })
                .collect();
            return Err(Exit::failure(message(file, &missing)));
        }
    };
    completed.map_err(|e| Exit::failure(format!("{file}: {e}")))
}

/// An import that nothing provides.
struct Missing {
    module: String,
    name: String,
    ty: String,
}

/// The list of what is missing, and a hint for each module it should come from.
fn message(file: &str, missing: &[Missing]) -> String {
    let mut text = format!("{file}: nothing provides {} of its imports:", missing.len());
    // Writing to a String does not fail.
    for m in missing.iter().take(SHOWN) {
        let _ = write!(text, "\n  {}.{}  {}", m.module, m.name, m.ty);
    }
    if missing.len() > SHOWN {
        let _ = write!(text, "\n  … and {} more", missing.len() - SHOWN);
    }
    let mut by_module: BTreeMap<&str, Vec<&Missing>> = BTreeMap::new();
    for m in missing {
        by_module.entry(&m.module).or_default().push(m);
    }
    for (module, items) in by_module {
        let _ = write!(text, "\nhint: `{module}`: {}", hint(module, &items));
    }
    text
}

/// What would provide the imports from a module.
fn hint(module: &str, items: &[&Missing]) -> String {
    if module == wasi::PREVIEW1 || module == wasi::UNSTABLE {
        return wasi_hint(module, items);
    }
    let is = |name: &str| if name.len() < 3 { module == name } else { module.starts_with(name) };
    if let Some((_, meaning)) = ENVIRONMENTS.iter().find(|(name, _)| is(name)) {
        return meaning.to_string();
    }
    let preload = format!("give a module that exports them with --preload {module}=FILE");
    if items.iter().all(|m| m.ty.starts_with("func")) {
        format!("{preload}, or run without: --unknown-imports trap (a call traps) or default (a call returns zero)")
    } else {
        preload
    }
}

/// WASI names that do not exist are mostly misspelt, or belong to the other snapshot.
fn wasi_hint(module: &str, items: &[&Missing]) -> String {
    let exists = |m: &Missing| wasi::WASI_FUNCTIONS.contains(&(module, m.name.as_str()));
    let unknown: Vec<&str> = items.iter().filter(|m| !exists(m)).map(|m| m.name.as_str()).collect();
    format!("has no function {}; build for WASI preview 1 (target wasm32-wasip1)", unknown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(module: &str, name: &str, ty: &str) -> Missing {
        Missing { module: module.into(), name: name.into(), ty: ty.into() }
    }

    #[test]
    fn everything_missing_is_listed_with_one_hint_per_module() {
        let text = message(
            "a.wasm",
            &[
                missing("env", "f", "func () -> ()"),
                missing("env", "g", "func () -> ()"),
                missing("lib", "m", "memory 1.."),
                missing("wasi:cli/stdout@0.2.0", "get-stdout", "func () -> (i32)"),
                missing("wasi_snapshot_preview1", "fd_wirte", "func () -> (i32)"),
            ],
        );
        assert!(text.starts_with("a.wasm: nothing provides 5 of its imports:\n  env.f  func () -> ()\n"), "{text}");
        assert_eq!(text.matches("hint:").count(), 4, "{text}");
        assert!(text.contains("`env`: give a module that exports them with --preload env=FILE, or run without"));
        assert!(text.contains("`lib`: give a module that exports them with --preload lib=FILE\n"), "{text}");
        assert!(text.contains("component model"), "{text}");
        assert!(text.contains("has no function fd_wirte"), "{text}");
    }

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<Missing> = (0..200).map(|i| missing("env", &format!("f{i}"), "func () -> ()")).collect();
        let text = message("a.wasm", &many);
        assert!(text.contains("nothing provides 200"), "{text}");
        assert!(text.contains("… and 150 more"), "{text}");
    }

    #[test]
    fn short_names_of_environments_match_whole() {
        let f = [&missing("app", "f", "func () -> ()")];
        assert!(hint("app", &f).contains("--preload app=FILE"));
        assert!(hint("good", &f).contains("--preload good=FILE"));
        assert!(hint("go", &f).contains("GOOS=wasip1"));
    }
}
