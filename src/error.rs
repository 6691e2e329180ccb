//! The one error type of the crate.

use std::fmt;
use std::io;
use std::path::{self, Path, PathBuf};

/// A `Result` with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong on a user's side: files, values in the configuration, the disk, the
/// terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Something is wrong with what the user gave: the place of it (a file, a field of the
    /// configuration, an argument), what was found there, what was expected instead, and what to do
    /// next, so that no message leaves its reader stuck.
    Problem([String; 4]),
    /// The operating system refuses something: what cannot be done, why not, and what to do next.
    System([String; 3]),
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
        Error::new(
            format!("{field} in get_config"),
            found,
            expected,
            "change that line in src/main.rs",
        )
    }

    /// The same with the name of a part before its place: which of several runs, for instance.
    pub fn within(self, part: &str) -> Self {
        match self {
            Error::Problem([place, found, expected, next]) => {
                Error::Problem([format!("{part}: {place}"), found, expected, next])
            }
            Error::System([what, why, next]) => {
                Error::System([format!("{part}: {what}"), why, next])
            }
            Error::ClosedPipe => self,
        }
    }

    /// What the operating system said when `path` was read.
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "check who may read it",
            io::ErrorKind::OutOfMemory => "close other programs, or use a smaller file",
            _ => "check the disk and try again",
        };
        Error::System([
            format!("cannot read {}", absolute(path).display()),
            reason(error),
            next.into(),
        ])
    }

    /// What the operating system said when `path` was written.
    pub fn writing(path: &Path, error: &io::Error) -> Self {
        let next = match error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
                "name a folder, not a file"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room on the disk, or write elsewhere"
            }
            _ => "check who may write there, or write elsewhere",
        };
        Error::System([
            format!("cannot write to {}", absolute(path).display()),
            reason(error),
            next.into(),
        ])
    }

    /// What the operating system said when a line was printed; a closed pipe is no problem.
    pub fn printing(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Error::ClosedPipe,
            _ => {
                let next = "check where the output goes".into();
                Error::System(["cannot write to standard output".into(), reason(error), next])
            }
        }
    }
}

/// The path from the root on, as the program sees it: with no `~`, and from the working folder.
pub fn absolute(path: &Path) -> PathBuf {
    // It only fails without a working folder.
    path::absolute(path).unwrap_or_else(|_| path.into())
}

/// What the operating system said, within a sentence and without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let mut characters = text.split(" (os error").next().unwrap_or_default().chars();
    characters
        .next()
        .map_or(String::new(), |first| first.to_lowercase().chain(characters).collect())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Problem([place, found, expected, next]) => {
                write!(f, "{place}: found {found}; expected {expected}; {next}")
            }
            Error::System([what, why, next]) => write!(f, "{what}: {why}; {next}"),
            Error::ClosedPipe => f.write_str("standard output was closed"),
        }
    }
}

impl std::error::Error for Error {}
