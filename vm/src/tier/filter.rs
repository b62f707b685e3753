//! Which functions of a module are compiled.
//!
//! In: a text that names some. Out: of each function whether it is one of them. What is left out stays in the interpreter, which is how a
//! function that is compiled wrongly is found.

use crate::error::{Error, Result};
use std::ops::Range;

/// Some functions of a module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompileFilter {
    functions: Functions,
    /// Whether it is all others that are meant.
    but: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Functions {
    Range(Range<u32>),
    Name(String),
}

impl CompileFilter {
    /// The functions that a text names: `7` is the one of that index, imports counted; `120..140` those from 120 to 139; anything
    /// else a name; behind `!` all but these.
    ///
    /// # Errors
    /// When it names none: the text, or the range, is empty.
    pub fn parse(text: &str) -> Result<CompileFilter> {
        let (but, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let number = |t: &str| t.parse::<u32>().ok();
        let range = text.split_once("..").and_then(|(a, b)| Some(number(a)?..number(b)?));
        let one = || number(text).and_then(|n| Some(n..n.checked_add(1)?));
        let functions = range.or_else(one).map_or_else(|| Functions::Name(text.into()), Functions::Range);
        let empty = match &functions {
            Functions::Range(r) => r.is_empty(),
            Functions::Name(n) => n.is_empty(),
        };
        if empty {
            return Err(Error::api(format!(
                "`{text}` names no function: give an index, a range such as 120..140, or a name"
            )));
        }
        Ok(CompileFilter { functions, but })
    }

    /// Whether a function, whose name is asked for if it matters, is to be compiled.
    pub(crate) fn has(&self, func: u32, name: impl FnOnce() -> Option<String>) -> bool {
        let named = match &self.functions {
            Functions::Range(r) => r.contains(&func),
            Functions::Name(n) => name().as_ref() == Some(n),
        };
        named != self.but
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_functions() {
        let has = |text: &str| -> Vec<u32> {
            let filter = CompileFilter::parse(text).expect("some functions");
            (0..6).filter(|&f| filter.has(f, || Some(format!("f{f}")))).collect()
        };
        assert_eq!(has("3"), [3]);
        assert_eq!(has("2..4"), [2, 3]);
        assert_eq!(has("!2..4"), [0, 1, 4, 5]);
        assert_eq!(has("f5"), [5]);
        assert_eq!(has("!f5"), [0, 1, 2, 3, 4]);
        assert_eq!(has("f"), []);
        for nothing in ["", "!", "4..4", "5..4"] {
            assert!(CompileFilter::parse(nothing).is_err(), "{nothing}");
        }
    }
}
