//! The command `vm`.
//!
//! In: the command line. Out: what the command prints, and its exit code. The invariant: no input makes it panic; what
//! goes wrong ends in one message on standard error and the code that [`exit`] lists.
//!
//! The process begins at C's `main` and not at Rust's, whose runtime first looks at the stack's bounds and installs handlers for its
//! overflow, a tenth of the time that a small guest takes altogether. The engine has handlers of its own.

#![cfg_attr(not(test), no_main)]

mod aot;
mod args;
mod cache;
mod completions;
mod exit;
mod fill;
mod inspect;
mod invoke;
mod link;
mod module;
mod net;
mod output;
mod quantity;
mod run;
mod settings;
mod stats;
mod streams;
mod suggest;
mod validate;
mod wast;
mod watchdog;

use args::Command;
use exit::Exit;

/// Where the process begins. Arguments are read where they are needed.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(_argc: i32, _argv: *const *const std::ffi::c_char) -> i32 {
    // A panic must not leave by C's way.
    std::panic::catch_unwind(command).unwrap_or(exit::BUG)
}

#[cfg_attr(test, allow(dead_code))] // tests have a beginning of their own
fn command() -> i32 {
    if let Err(e) = streams::fill() {
        // There is nowhere to say so.
        let _ = e;
        return exit::FAILURE;
    }
    let outcome = match args::parse() {
        Command::Run(args) => run::run(*args),
        Command::Aot(args) => aot::run(&args),
        Command::Cache(args) => cache::run(&args),
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
    std::process::exit(code)
}
