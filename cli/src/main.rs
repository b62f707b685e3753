//! The command `vm`.
//!
//! In: the command line. Out: what the command prints, and its exit code. The invariant: no input makes it panic; what
//! goes wrong ends in one message on standard error and the code that [`exit`] lists.

mod args;
mod completions;
mod exit;
mod inspect;
mod invoke;
mod link;
mod module;
mod net;
mod output;
mod pipe;
mod quantity;
mod run;
mod settings;
mod stats;
mod suggest;
mod validate;
mod wast;
mod watchdog;

use args::Command;
use exit::Exit;

fn main() {
    pipe::end_quietly_when_closed();
    let outcome = match args::parse() {
        Command::Run(args) => run::run(*args),
        Command::Validate(args) => validate::run(&args),
        Command::Wast(args) => wast::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    let code = match outcome {
        Ok(()) => exit::OK,
        Err(Exit { code, message }) => {
            if let Some(message) = message {
                output::complain(&message);
            }
            code
        }
    };
    // Nothing is worth tearing down: the system takes back memory and files faster than destructors would.
    std::process::exit(code);
}
