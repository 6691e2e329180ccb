//! What a command shows while it works: lasting lines everywhere, one live line on a terminal.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often the live line changes.
const REFRESH: Duration = Duration::from_millis(100);

/// Goes back to the start of the line and clears it.
const CLEAR: &str = "\r\x1b[K";
/// Cuts off what is too long for the terminal instead of wrapping it, until `WRAP` (DEC's private
/// mode 7).
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// Where a command prints, as a person or a file reads it.
pub struct Console {
    out: Box<dyn Write + Send>,
    is_terminal: bool,
    /// When the live line was last drawn, or when it all began: an estimate takes a moment to be
    /// one.
    drawn: Instant,
    /// Whether a live line is there.
    is_live: bool,
}

impl Console {
    /// Standard output; a dumb terminal knows no escape sequences, and so has no live line.
    pub fn stdout() -> Self {
        let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Console::new(Box::new(io::stdout()), io::stdout().is_terminal() && !is_dumb)
    }

    /// A console that prints to `out`, with a live line only if that is a terminal.
    pub fn new(out: Box<dyn Write + Send>, is_terminal: bool) -> Self {
        Console { out, is_terminal, drawn: Instant::now(), is_live: false }
    }

    /// Prints a line that stays, in the place of the live one.
    ///
    /// # Errors
    /// What standard output says; [`Error::ClosedPipe`] if nobody reads it any more.
    pub fn line(&mut self, text: &str) -> Result<()> {
        let clear = if mem::take(&mut self.is_live) { CLEAR } else { "" };
        self.print(&format!("{clear}{text}\n"))
    }

    /// On a terminal, shows what `text` gives in the place of the last live line, a few times a
    /// second at most. A terminal that is too narrow shows its beginning.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn live(&mut self, text: impl FnOnce() -> String) -> Result<()> {
        if !self.is_terminal || self.drawn.elapsed() < REFRESH {
            return Ok(());
        }
        (self.drawn, self.is_live) = (Instant::now(), true);
        self.print(&format!("{CLEAR}{NO_WRAP}{}{WRAP}", text()))
    }

    fn print(&mut self, text: &str) -> Result<()> {
        let printed = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        printed.map_err(|error| Error::printing(&error))
    }
}

/// Takes the live line away, so that an error message does not begin in it.
impl Drop for Console {
    fn drop(&mut self) {
        if self.is_live {
            self.print(CLEAR).ok();
        }
    }
}

/// A time to come, for a person: "8 s", "2 min 05 s", "1 h 03 min".
pub fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).ceil() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        _ => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// A whole number with its thousands apart: 60,000.
pub fn thousands(number: usize) -> String {
    match number / 1000 {
        0 => number.to_string(),
        above => format!("{},{:03}", thousands(above), number % 1000),
    }
}

/// A learning rate in thirteen characters at most: its digits, or its power of ten where these are
/// few.
pub fn rate(rate: f32) -> String {
    if rate < 1e-4 { format!("{rate:.2e}") } else { format!("{rate:.6}") }
}

/// `text` in lines of at most 80 characters where it has spaces, the later ones indented.
pub fn wrap(text: &str) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > 80 {
            wrapped += "\n ";
            column = 1;
        }
        if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped += word;
        column += length;
    }
    wrapped
}
