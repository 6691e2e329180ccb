//! The one error type of the crate.

use std::fmt;
use std::io;
use std::path::Path;

/// A `Result` with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong on a user's side: files, values in the configuration, the disk, the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Something is wrong with what the user gave: the place of it (a file, a field of the configuration, an argument), what
    /// was found there, what was expected instead, and what to do next, so that no message leaves its reader stuck.
    Problem([String; 4]),
    /// Whoever read our standard output has gone (`make run | head -1`): stop, and say nothing.
    ClosedPipe,
}

impl Error {
    /// A [`Error::Problem`] with these four.
    pub fn new(
        place: impl fmt::Display,
        found: impl Into<String>,
        expected: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Error::Problem([place.to_string(), found.into(), expected.into(), next.into()])
    }

    /// A problem with a field of the configuration: what was `found`, and what was `expected`.
    pub fn in_config(field: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Error::new(format!("{field} in get_config"), found, expected, "change that line in src/main.rs")
    }

    /// The same with the name of a part before its place: which of several runs, for instance.
    pub fn within(self, part: &str) -> Self {
        match self {
            Error::Problem([place, found, expected, next]) => {
                Error::Problem([format!("{part}: {place}"), found, expected, next])
            }
            Error::ClosedPipe => self,
        }
    }

    /// What the operating system said when `path` was read.
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "check who may read it",
            _ => "check the disk and try again",
        };
        Error::new(path.display(), format!("the error \"{error}\""), "a file that can be read", next)
    }

    /// What the operating system said when `path` was written.
    pub fn writing(path: &Path, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "name a folder, not a file",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on the disk, or write elsewhere",
            _ => "check that the folder exists and may be written, or write elsewhere",
        };
        Error::new(path.display(), format!("the error \"{error}\""), "a place that can be written", next)
    }

    /// What the operating system said when a line was printed; a closed pipe is no problem.
    pub fn printing(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error::ClosedPipe,
            _ => {
                let (found, expected) =
                    (format!("the error \"{error}\""), "a terminal, file or pipe that takes our lines");
                Error::new("standard output", found, expected, "check where the output goes")
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Problem([place, found, expected, next]) => {
                write!(f, "{place}: found {found}; expected {expected}; {next}")
            }
            Error::ClosedPipe => f.write_str("standard output was closed"),
        }
    }
}

impl std::error::Error for Error {}
