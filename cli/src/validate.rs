//! `vm validate`: whether modules are valid, every function body included.

use crate::args::ValidateArgs;
use crate::exit::{self, Exit};
use crate::watchdog::Watchdog;
use crate::{module, output};
use vm::{Config, Engine, Validation};

/// Checks every file, whatever became of those before it.
pub(crate) fn run(args: &ValidateArgs) -> Result<(), Exit> {
    let mut config = Config::new();
    config.validation(Validation::Eager);
    let engine = Engine::new(&config).map_err(|e| Exit::failure(e.to_string()))?;
    let mut all_valid = true;
    let _watchdog = Watchdog::start(args.timeout, "vm validate");
    for file in &args.files {
        match module::load(&engine, file) {
            Ok(_) => output::print(&format!("{}: valid\n", file.display()))?,
            Err(e) => {
                all_valid = false;
                output::complain(&e.message.unwrap_or_default());
            }
        }
    }
    if all_valid { Ok(()) } else { Err(Exit::silent(exit::FAILURE)) }
}
