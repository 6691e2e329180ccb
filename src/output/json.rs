//! JSON (RFC 8259), as little as the weights file and the report need: a reader that trusts nothing, and quoting.

use std::collections::BTreeMap;
use std::fmt;

/// How deep arrays and objects may lie in one another; a weights file has three levels.
const DEEPEST: usize = 16;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it is written, so that none is rounded; `parse` makes it what it is to be.
    Number(&'a str),
    /// A string without its escapes.
    Text(String),
    /// `[…]`
    Array(Vec<Value<'a>>),
    /// `{…}`; no two members have the same name.
    Object(BTreeMap<String, Value<'a>>),
}

/// Why a text is not JSON. Its text completes "JSON that …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    what: &'static str,
    /// The bytes before it.
    at: usize,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

type Result<T> = std::result::Result<T, Flaw>;

/// The one value that `text` consists of. Memory stays within a hundred times the text.
///
/// # Errors
/// Anything that RFC 8259 does not allow, nesting beyond 16 levels, and two members of one name in an object.
pub fn parse(text: &str) -> Result<Value<'_>> {
    let mut parser = Parser { text, rest: text };
    let value = parser.value(DEEPEST)?;
    parser.skip_space();
    if parser.rest.is_empty() { Ok(value) } else { parser.flaw("goes on after its end") }
}

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

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn flaw<T>(&self, what: &'static str) -> Result<T> {
        Err(Flaw { what, at: self.text.len() - self.rest.len() })
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Goes past `token` if it is next.
    fn take(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self, levels: usize) -> Result<Value<'a>> {
        self.skip_space();
        for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.take(word) {
                return Ok(value);
            }
        }
        match self.rest.bytes().next() {
            Some(b'{' | b'[') if levels == 0 => self.flaw("is nested too deep"),
            Some(b'{') => self.object(levels - 1),
            Some(b'[') => self.array(levels - 1),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(_) => self.flaw("has no value where one must be"),
            None => self.flaw("ends too early"),
        }
    }

    fn array(&mut self, levels: usize) -> Result<Value<'a>> {
        let mut values = Vec::new();
        self.list("[", "]", |parser| {
            values.push(parser.value(levels)?);
            Ok(())
        })?;
        Ok(Value::Array(values))
    }

    fn object(&mut self, levels: usize) -> Result<Value<'a>> {
        let mut members = BTreeMap::new();
        self.list("{", "}", |parser| {
            parser.skip_space();
            let start = parser.rest;
            let name = parser.string()?;
            if members.contains_key(&name) {
                parser.rest = start;
                return parser.flaw("has a second member of one name");
            }
            parser.skip_space();
            if !parser.take(":") {
                return parser.flaw("has no colon where one must be");
            }
            members.insert(name, parser.value(levels)?);
            Ok(())
        })?;
        Ok(Value::Object(members))
    }

    /// `open`, what `item` reads again and again with commas between, `close`.
    fn list(&mut self, open: &str, close: &str, mut item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.take(open);
        self.skip_space();
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            self.skip_space();
            if self.take(close) {
                return Ok(());
            }
            if !self.take(",") {
                return self.flaw("has no comma or end where one must be");
            }
        }
    }

    fn string(&mut self) -> Result<String> {
        if !self.take("\"") {
            return self.flaw("has no string where one must be");
        }
        let mut string = String::new();
        loop {
            let plain = self.rest.find(|c| matches!(c, '"' | '\\' | '\0'..' ')).unwrap_or(self.rest.len());
            let (before, from) = self.rest.split_at(plain);
            string += before;
            self.rest = from;
            if self.take("\"") {
                return Ok(string);
            }
            if !self.take("\\") {
                return self.flaw("has a string without an end or with a control character");
            }
            string.push(self.escape()?);
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char> {
        let escapes = [("\"", '"'), ("\\", '\\'), ("/", '/'), ("b", '\u{8}'), ("f", '\u{c}'), ("n", '\n'), ("r", '\r')];
        for (letter, character) in escapes.into_iter().chain([("t", '\t')]) {
            if self.take(letter) {
                return Ok(character);
            }
        }
        let first = self.unit()?;
        let mut code = first;
        // What lies beyond 16 bits is written as two units, the surrogates (RFC 8259 §7).
        if let 0xd800..0xdc00 = first {
            let second = self.take("\\").then(|| self.unit()).transpose()?;
            let Some(second @ 0xdc00..0xe000) = second else { return self.flaw("has half a surrogate pair") };
            code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        }
        char::from_u32(code).map_or_else(|| self.flaw("has half a surrogate pair"), Ok)
    }

    /// `u` and four hexadecimal digits.
    fn unit(&mut self) -> Result<u32> {
        let digits = self.rest.strip_prefix('u').and_then(|after| after.split_at_checked(4));
        match digits {
            Some((digits, after)) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                self.rest = after;
                // Four such digits always are a number.
                Ok(u32::from_str_radix(digits, 16).unwrap_or_default())
            }
            _ => self.flaw("has an unknown escape"),
        }
    }

    fn number(&mut self) -> Result<&'a str> {
        let start = self.rest;
        self.take("-");
        let mut sound = self.take("0") || self.digits();
        if self.take(".") {
            sound &= self.digits();
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            sound &= self.digits();
        }
        if sound { Ok(&start[..start.len() - self.rest.len()]) } else { self.flaw("has a broken number") }
    }

    /// Goes past the digits that are next, and tells whether there were any.
    fn digits(&mut self) -> bool {
        let after = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let any = after.len() < self.rest.len();
        self.rest = after;
        any
    }
}
