//! The `name` section, read only when somebody asks for a name.

use std::collections::HashMap;
use std::ops::Range;
use wasmparser::{BinaryReader, Name, NameSectionReader};

/// Names of a module and its functions. A damaged section yields what could be read before the damage.
#[derive(Default, Debug)]
pub struct Names {
    /// The module's own name.
    pub module: Option<Box<str>>,
    /// Function names by function index.
    pub funcs: HashMap<u32, Box<str>>,
}

impl Names {
    /// Reads the section at `range` of `bytes`.
    pub fn read(bytes: &[u8], range: Option<Range<usize>>) -> Names {
        let mut names = Names::default();
        let Some(section) = range.and_then(|r| bytes.get(r)) else { return names };
        for sub in NameSectionReader::new(BinaryReader::new(section, 0)) {
            match sub {
                Ok(Name::Module { name, .. }) => names.module = Some(name.into()),
                Ok(Name::Function(map)) => {
                    for naming in map.into_iter().map_while(Result::ok) {
                        names.funcs.insert(naming.index, naming.name.into());
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        names
    }
}
