//! JSON (RFC 8259), as far as the header of a weights file has it: objects, strings, and arrays of
//! strings or whole numbers.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;
use std::str::Chars;

use crate::error::{Error, Result};

/// `text` as a JSON string, with its quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\0'..' ' => quoted += &format!("\\u{:04x}", u32::from(c)),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The beginning of a value from a file, for an error message.
pub fn excerpt(value: impl Debug) -> String {
    let text = format!("{value:?}");
    text.char_indices().nth(40).map_or(text.clone(), |(end, _)| format!("{} …", &text[..end]))
}

const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Reads the JSON in the header of a weights file, one value after another.
///
/// A method that does not find what it reads returns an error that names the file and shows what is
/// there.
pub struct Reader<'a> {
    path: &'a Path,
    header: &'a str,
    /// What has not been read yet, without spaces before it.
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// A reader of the header of the file at `path`.
    pub fn new(path: &'a Path, header: &'a str) -> Self {
        Reader { path, header, rest: header.trim_start_matches(SPACE) }
    }

    fn go_to(&mut self, rest: &'a str) {
        self.rest = rest.trim_start_matches(SPACE);
    }

    /// Goes past `token` if it is next.
    fn take(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        after.map(|after| self.go_to(after)).is_some()
    }

    /// Goes past `token`, which must be next.
    fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { self.error(&format!("{token:?}")) }
    }

    /// The error that something else than `expected` is next.
    pub fn error<T>(&self, expected: &str) -> Result<T> {
        let found = if self.rest.is_empty() { "the end".into() } else { excerpt(self.rest) };
        let found =
            format!("{found} at byte {} of the header", self.header.len() - self.rest.len());
        Err(Error::new(
            self.path.display(),
            found,
            expected,
            "use a model.safetensors as make run writes it",
        ))
    }

    /// The header's end.
    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { self.error("the end of the header") }
    }

    /// A string, without its quotes and escapes.
    pub fn string(&mut self) -> Result<String> {
        let Some((string, after)) = unquote(self.rest) else { return self.error("a JSON string") };
        self.go_to(after);
        Ok(string)
    }

    /// An array of whole numbers.
    pub fn whole_numbers(&mut self) -> Result<Vec<usize>> {
        let mut numbers = Vec::new();
        self.list(["[", "]"], |reader| {
            let (digits, after) =
                reader.rest.split_at(reader.rest.bytes().take_while(u8::is_ascii_digit).count());
            match digits.parse() {
                Ok(number) if digits == "0" || !digits.starts_with('0') => numbers.push(number),
                _ => return reader.error("a whole number"),
            }
            reader.go_to(after);
            Ok(())
        })?;
        Ok(numbers)
    }

    /// An array of strings.
    pub fn strings(&mut self) -> Result<Vec<String>> {
        let mut strings = Vec::new();
        self.list(["[", "]"], |reader| {
            strings.push(reader.string()?);
            Ok(())
        })?;
        Ok(strings)
    }

    /// An object, whose names differ; `member` gets the name of each member and reads its value.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, String) -> Result<()>,
    ) -> Result<()> {
        let mut names = BTreeSet::new();
        self.list(["{", "}"], |reader| {
            let start = reader.rest;
            let name = reader.string()?;
            if !names.insert(name.clone()) {
                reader.rest = start;
                return reader.error("a name that has not been used before");
            }
            reader.expect(":")?;
            member(reader, name)
        })
    }

    /// What `item` reads, again and again, with commas between and these brackets around.
    fn list(
        &mut self,
        [open, close]: [&str; 2],
        mut item: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.expect(open)?;
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.take(",") {
                return self.expect(close);
            }
        }
    }
}

/// The string that `text` begins with, without its quotes and escapes, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut string = String::new();
    loop {
        string.push(match chars.next()? {
            '"' => return Some((string, chars.as_str())),
            '\\' => unescape(&mut chars)?,
            '\0'..' ' => return None,
            c => c,
        });
    }
}

/// The character that the rest of an escape, after the backslash, stands for.
fn unescape(chars: &mut Chars) -> Option<char> {
    let unit = |chars: &mut Chars| {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)? as u16))
    };
    Some(match chars.next()? {
        c @ ('"' | '\\' | '/') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let mut units = vec![unit(chars)?];
            // A character beyond 16 bits is written as two escapes, its two units in UTF-16 (RFC
            // 8259 §7).
            if let 0xd800..0xdc00 = units[0] {
                *chars = chars.as_str().strip_prefix("\\u")?.chars();
                units.push(unit(chars)?);
            }
            char::decode_utf16(units).next()?.ok()?
        }
        _ => return None,
    })
}
