//! A reader of gzip files (RFC 1952): members one after another, each a header, DEFLATE data, and a
//! checksum and length.

mod deflate;

pub use deflate::CUT_SHORT;
use deflate::{Result, ensure, inflate};

/// The error of a file that may well be sound.
pub const TOO_LITTLE_MEMORY: &str = "promises more bytes than fit into memory";

/// The two bytes that every gzip file begins with (RFC 1952 §2.3.1).
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The first `most` bytes of a gzip file's content, or all of it where it is shorter.
///
/// A content shorter than `most` has been verified: the CRC-32 and length of each member, and that
/// nothing but zeros, with which tapes and tar pad, follows the last. Once `most` bytes are there,
/// the rest of `input` is not looked at: it may be the beginning of a file. Memory stays below
/// `most`, and below 1032 times the length of `input`, plus 64 KiB.
///
/// # Errors
/// What is wrong with the file, as the end of the sentence "a gzip file that …".
pub fn gunzip(input: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    // Two bits give at most 258 bytes: the longest match, with code words of one bit for its length
    // and its distance.
    let possible = input.len().saturating_mul(258 * 8 / 2);
    let reserved = most.min(possible).saturating_add(65_535);
    content.try_reserve_exact(reserved).map_err(|_| TOO_LITTLE_MEMORY)?;
    let mut rest = input;
    loop {
        let start = content.len();
        rest = skip_header(rest)?;
        rest = &rest[inflate(rest, &mut content, most)?..];
        if content.len() >= most {
            content.truncate(most);
            return Ok(content);
        }
        let member = &content[start..];
        ensure(take(&mut rest)? == crc32(member).to_le_bytes(), "does not pass its CRC-32 check")?;
        ensure(
            take(&mut rest)? == (member.len() as u32).to_le_bytes(),
            "does not have the length told at its end",
        )?;
        if rest.iter().all(|&byte| byte == 0) {
            return Ok(content);
        }
        ensure(rest.starts_with(&MAGIC), "is followed by other bytes")?;
    }
}

/// Takes `N` bytes off the beginning of `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (&bytes, after) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
    *rest = after;
    Ok(bytes)
}

/// What follows the member header that `input` begins with (RFC 1952 §2.3).
fn skip_header(input: &[u8]) -> Result<&[u8]> {
    let [header_crc, extra, name, comment] = [1 << 1, 1 << 2, 1 << 3, 1 << 4];
    let mut rest = input;
    let [magic_0, magic_1, method, flags, ..] = take::<10>(&mut rest)?;
    ensure([magic_0, magic_1] == MAGIC, "does not begin with the bytes 1f 8b")?;
    ensure(method == 8, "names a compression method other than DEFLATE")?;
    ensure(flags & 0b1110_0000 == 0, "has reserved flags set")?;
    if flags & extra != 0 {
        let length = u16::from_le_bytes(take(&mut rest)?);
        rest = rest.get(length.into()..).ok_or(CUT_SHORT)?;
    }
    for text in [name, comment] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0).ok_or(CUT_SHORT)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & header_crc != 0 {
        let crc = crc32(&input[..input.len() - rest.len()]) as u16;
        ensure(take(&mut rest)? == crc.to_le_bytes(), "does not pass its header's CRC-16 check")?;
    }
    Ok(rest)
}

/// The CRC-32 of RFC 1952 §8: the remainder of the bytes, as a polynomial over the bits, by
/// 0xedb88320 (bits reversed).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        // What a byte adds to the remainder depends only on itself and on how many bytes follow it:
        // sixteen look-ups that need not wait for one another do the work of sixteen rounds of the
        // loop below.
        let mixed = u128::from_le_bytes(*chunk) ^ u128::from(crc);
        crc = (0..16).fold(0, |sum, i| sum ^ CRC[15 - i][(mixed >> (8 * i)) as u8 as usize]);
    }
    for &byte in rest {
        crc = crc >> 8 ^ CRC[0][(crc as u8 ^ byte) as usize];
    }
    !crc
}

/// `CRC[n][byte]`: the remainder of `byte` with `n` zero bytes after it.
static CRC: [[u32; 256]; 16] = {
    let mut table = [[0; 256]; 16];
    let mut i = 0;
    while i < 16 * 256 {
        let n = i / 256;
        let byte = i % 256;
        let mut crc = byte as u32;
        let mut bits = 8 * (n + 1);
        while bits > 0 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb88320 } else { 0 };
            bits -= 1;
        }
        table[n][byte] = crc;
        i += 1;
    }
    table
};
