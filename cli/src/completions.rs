//! `vm completions`: the completion script of a shell.

use crate::args::{self, CompletionsArgs};
use crate::exit::Exit;
use crate::output;

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::definition(), "vm", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
