//! Reads the JSON that the program writes: no null, true or false, and no escapes but `\"`, `\\`
//! and `\u`.

use std::collections::BTreeMap;

/// A JSON value, numbers as they are written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Number(&'a str),
    Text(String),
    Array(Vec<Value<'a>>),
    Object(BTreeMap<String, Value<'a>>),
}

/// The value that `text` consists of, or None if there is something wrong with it.
pub fn parse(mut text: &str) -> Option<Value<'_>> {
    let value = value(&mut text)?;
    text.trim_end_matches(' ').is_empty().then_some(value)
}

fn value<'a>(rest: &mut &'a str) -> Option<Value<'a>> {
    Some(match rest.chars().next()? {
        '{' => {
            let mut members = BTreeMap::new();
            list(rest, '}', |rest| {
                let Value::Text(name) = value(rest)? else { return None };
                *rest = rest.strip_prefix(':')?;
                members.insert(name, value(rest)?).is_none().then_some(())
            })?;
            Value::Object(members)
        }
        '[' => {
            let mut values = Vec::new();
            list(rest, ']', |rest| {
                values.push(value(rest)?);
                Some(())
            })?;
            Value::Array(values)
        }
        '"' => Value::Text(text(rest)?),
        _ => {
            let (number, after) = rest.split_at(rest.find([',', ']', '}'])?);
            let sound = number.bytes().all(|byte| b"0123456789-+.eE".contains(&byte))
                && number.parse::<f64>().is_ok();
            *rest = after;
            sound.then_some(Value::Number(number))?
        }
    })
}

/// What `item` reads, again and again, from an opening bracket on up to the closing one.
fn list<'a>(
    rest: &mut &'a str,
    close: char,
    mut item: impl FnMut(&mut &'a str) -> Option<()>,
) -> Option<()> {
    *rest = &rest[1..];
    if let Some(after) = rest.strip_prefix(close) {
        *rest = after;
        return Some(());
    }
    loop {
        item(rest)?;
        if let Some(after) = rest.strip_prefix(close) {
            *rest = after;
            return Some(());
        }
        *rest = rest.strip_prefix(',')?.trim_start_matches(' ');
    }
}

fn text(rest: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = rest[1..].chars();
    loop {
        text.push(match chars.next()? {
            '"' => break,
            '\\' => match chars.next()? {
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                c => ['"', '\\'].contains(&c).then_some(c)?,
            },
            c => (c >= ' ').then_some(c)?,
        });
    }
    *rest = chars.as_str();
    Some(text)
}
