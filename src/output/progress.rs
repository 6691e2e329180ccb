//! What a command shows while it works: lasting lines everywhere, one live line on a terminal.

use std::io::{self, IsTerminal, Write};
use std::mem;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often the live line changes.
const REFRESH: Duration = Duration::from_millis(100);

/// Standard output, as a person or a file reads it.
#[derive(Debug)]
pub struct Console {
    is_terminal: bool,
    /// When the live line was last drawn, or when it all began: an estimate takes a moment to be one.
    drawn: Instant,
    /// Whether a live line is there.
    is_live: bool,
}

impl Default for Console {
    fn default() -> Self {
        Console { is_terminal: io::stdout().is_terminal(), drawn: Instant::now(), is_live: false }
    }
}

impl Console {
    /// Prints a line that stays, in the place of the live one.
    ///
    /// # Errors
    /// What standard output says; [`Error::ClosedPipe`] if nobody reads it any more.
    pub fn line(&mut self, text: &str) -> Result<()> {
        let clear = if mem::take(&mut self.is_live) { "\r\x1b[K" } else { "" };
        print(&format!("{clear}{text}\n"))
    }

    /// On a terminal, shows what `text` gives in the place of the last live line, a few times a second at most.
    ///
    /// # Errors
    /// As [`Console::line`].
    pub fn live(&mut self, text: impl FnOnce() -> String) -> Result<()> {
        if !self.is_terminal || self.drawn.elapsed() < REFRESH {
            return Ok(());
        }
        (self.drawn, self.is_live) = (Instant::now(), true);
        print(&format!("\r{}\x1b[K", text()))
    }
}

/// Takes the live line away, so that an error message does not begin in it.
impl Drop for Console {
    fn drop(&mut self) {
        if self.is_live {
            print("\r\x1b[K").ok();
        }
    }
}

fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Error::printing(&error))
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
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
