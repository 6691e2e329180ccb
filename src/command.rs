//! What all programs share: their arguments, and what they end with.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::output::progress::wrap;

/// Does a program's `work`, given the arguments after its name. One that is not Unicode is shown as
/// far as it is.
pub fn with_arguments(work: impl FnOnce(&[&str]) -> Result<()>) -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    exit_code(work(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// The same for a program that takes no arguments, and refuses the first.
pub fn without_arguments(work: impl FnOnce() -> Result<()>) -> ExitCode {
    with_arguments(|arguments| match arguments {
        [] => work(),
        [argument, ..] => {
            let next = "change get_config in src/main.rs and run it again";
            Err(Error::new("the arguments", *argument, "none", next))
        }
    })
}

/// What a command ends with: 0, or 1 after one message on standard error. A closed pipe is no
/// failure: its reader has seen what it wanted.
pub fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) | Err(Error::ClosedPipe) => ExitCode::SUCCESS,
        Err(problem) => {
            let message = format!("error: {problem}");
            let message = if io::stderr().is_terminal() { wrap(&message) } else { message };
            // Where standard error is closed too, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}
