//! A decoder for gzip files: the container of RFC 1952 around the DEFLATE compression of RFC 1951.
//!
//! DEFLATE knows two tricks. A *match* says "copy `length` bytes from `distance` bytes back" in place of the bytes
//! themselves. *Huffman codes* give frequent symbols few bits and rare ones many. Data comes in blocks, each with codes
//! of its own; one code holds literal bytes, match lengths and the end of the block, the other holds distances.

use std::fmt;

/// Why bytes could not be decoded. Its text completes "a gzip file that …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The content is longer than the caller's limit; what came before was sound so far, its checksum not yet seen.
    TooLong,
    /// The bytes are no sound gzip file.
    Corrupt(&'static str),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flaw::TooLong => "holds more than expected",
            Flaw::Corrupt(what) => what,
        })
    }
}

type Result<T> = std::result::Result<T, Flaw>;

/// The two bytes that every gzip file begins with (RFC 1952 §2.3.1).
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

const CUT: Flaw = Flaw::Corrupt("ends too early");

/// The whole content of a gzip file, all its members joined, each with its CRC-32 and length verified.
///
/// Content longer than `limit` bytes is [`Flaw::TooLong`], found as soon as the limit is passed. Memory grows with what
/// has been decoded; what is reserved beforehand exceeds neither `limit` nor what `input` can hold.
pub fn gunzip(input: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut content = Content { bytes: Vec::new(), member: 0, limit };
    decode(input, &mut content)?;
    Ok(content.bytes)
}

/// The first `n` bytes of a gzip file's content, or all of it where it is shorter; `input` may be the file's beginning.
///
/// Checksums are verified only where the content ends before byte `n + 1`.
pub fn gunzip_start(input: &[u8], n: usize) -> Result<Vec<u8>> {
    let mut content = Content { bytes: Vec::new(), member: 0, limit: n };
    match decode(input, &mut content) {
        Ok(()) | Err(Flaw::TooLong) => Ok(content.bytes),
        Err(flaw) => Err(flaw),
    }
}

/// What has been decoded so far.
struct Content {
    bytes: Vec<u8>,
    /// Where the current member's content begins.
    member: usize,
    limit: usize,
}

fn decode(input: &[u8], content: &mut Content) -> Result<()> {
    // The last four bytes tell the last member's length: of an honest file with one member, all there is to reserve.
    // A lie costs little: no more than 258 bytes (the longest match) come from two bits (two codes of one bit each).
    let claimed = input.last_chunk().map_or(0, |&length| u32::from_le_bytes(length)) as usize;
    let holds = input.len().saturating_mul(258 * 8 / 2);
    let reserved = content.bytes.try_reserve_exact(claimed.min(holds).min(content.limit) + SHORT);
    reserved.map_err(|_| Flaw::Corrupt("claims to hold more bytes than memory does"))?;

    let mut bits = Bits { input, next: 0, buffer: 0, count: 0 };
    loop {
        content.member = content.bytes.len();
        bits.next += header(&input[bits.next..])?;
        inflate(&mut bits, content)?;
        let member = &content.bytes[content.member..];
        bits.align();
        if bits.take(32)? != crc32(member) {
            return Err(Flaw::Corrupt("does not pass its CRC-32 check"));
        }
        if bits.take(32)? != member.len() as u32 {
            return Err(Flaw::Corrupt("does not have the length told at its end"));
        }
        bits.align();
        match &input[bits.next..] {
            [] => return Ok(()),
            rest if rest.starts_with(&MAGIC) => {}
            _ => return Err(Flaw::Corrupt("is followed by other bytes")),
        }
    }
}

/// The length in bytes of the member header that `input` begins with (RFC 1952 §2.3).
fn header(input: &[u8]) -> Result<usize> {
    let [header_crc, extra, name, comment] = [1 << 1, 1 << 2, 1 << 3, 1 << 4];
    let (fixed, mut rest) = input.split_first_chunk::<10>().ok_or(CUT)?;
    let [magic_0, magic_1, method, flags, ..] = *fixed;
    if [magic_0, magic_1] != MAGIC {
        return Err(Flaw::Corrupt("does not begin with the bytes 1f 8b"));
    }
    if method != 8 {
        return Err(Flaw::Corrupt("names a compression method other than DEFLATE"));
    }
    if flags & 0b1110_0000 != 0 {
        return Err(Flaw::Corrupt("has reserved flags set"));
    }
    if flags & extra != 0 {
        let (&length, after) = rest.split_first_chunk().ok_or(CUT)?;
        rest = after.get(u16::from_le_bytes(length) as usize..).ok_or(CUT)?;
    }
    for text in [name, comment] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0).ok_or(CUT)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & header_crc != 0 {
        let sum = crc32(&input[..input.len() - rest.len()]) as u16;
        let (&stored, after) = rest.split_first_chunk().ok_or(CUT)?;
        if u16::from_le_bytes(stored) != sum {
            return Err(Flaw::Corrupt("does not pass its header's CRC-16 check"));
        }
        rest = after;
    }
    Ok(input.len() - rest.len())
}

/// Appends the blocks of one member to `content` (RFC 1951 §3.2.3).
fn inflate(bits: &mut Bits, content: &mut Content) -> Result<()> {
    let fixed = fixed_codes()?;
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(bits, content)?,
            1 => block(&fixed, bits, content)?,
            2 => block(&dynamic_codes(bits)?, bits, content)?,
            _ => return Err(Flaw::Corrupt("has a block of the reserved type")),
        }
        if last {
            return Ok(());
        }
    }
}

/// A block that is not compressed: its length, the length's complement, the bytes (RFC 1951 §3.2.4).
fn stored(bits: &mut Bits, content: &mut Content) -> Result<()> {
    bits.align();
    let (length, complement) = (bits.take(16)?, bits.take(16)?);
    if length != !complement & 0xffff {
        return Err(Flaw::Corrupt("has a stored block whose length does not match its complement"));
    }
    bits.align();
    let rest = &bits.input[bits.next..];
    let bytes = &rest[..rest.len().min(length as usize)];
    let room = content.limit - content.bytes.len();
    content.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    bits.next += bytes.len();
    // Where the input ends before the block does, whatever is read next finds that it is cut.
    if bytes.len() > room { Err(Flaw::TooLong) } else { Ok(()) }
}

const END_OF_BLOCK: u16 = 256;

/// The shortest length of each length symbol, from 257 on, and how many extra bits add to it (RFC 1951 §3.2.5).
const LENGTHS: [(u16, u8); 29] = {
    let mut table = ranges(3, 4);
    table[28] = (258, 0); // the longest match has a symbol of its own
    table
};

/// The same for distances, from symbol 0 on.
const DISTANCES: [(u16, u8); 30] = ranges(1, 2);

/// Ranges that follow one another from `start`: twice `group` of one value, then groups whose ranges double each time.
const fn ranges<const N: usize>(start: u16, group: usize) -> [(u16, u8); N] {
    let mut table = [(start, 0); N];
    let mut i = 1;
    while i < N {
        let (base, extra) = table[i - 1];
        table[i] = (base + (1 << extra), (i / group).saturating_sub(1) as u8);
        i += 1;
    }
    table
}

/// The length that most matches don't exceed.
const SHORT: usize = 32;

/// A compressed block: literals and matches up to the end-of-block symbol (RFC 1951 §3.2.3).
fn block((literals, distances): &(Code, Code), bits: &mut Bits, content: &mut Content) -> Result<()> {
    let &mut Content { bytes: ref mut out, member, limit } = content;
    loop {
        // What a match takes at most: 15 bits of code and 5 extra ones for its length, 15 and 13 for its distance.
        bits.refill(48);
        let symbol = bits.symbol(literals)?;
        if symbol < END_OF_BLOCK {
            if out.len() == limit {
                return Err(Flaw::TooLong);
            }
            out.push(symbol as u8);
            continue;
        }
        if symbol == END_OF_BLOCK {
            return Ok(());
        }
        let length = bits.number(&LENGTHS, symbol - 257)?;
        let symbol = bits.symbol(distances)?;
        let distance = bits.number(&DISTANCES, symbol)?;
        if distance > out.len() - member {
            return Err(Flaw::Corrupt("copies from before its own start"));
        }

        let from = out.len() - distance;
        let wanted = out.len() + length;
        let end = wanted.min(limit);
        match out[from..].first_chunk::<SHORT>() {
            // Nearly all matches are short: a copy of fixed length, cut back, is far quicker than one of the right length.
            Some(&chunk) if length <= SHORT => {
                out.extend_from_slice(&chunk);
                out.truncate(end);
            }
            // A match may run into what it writes itself: length 6 and distance 2 after "ab" give "abababab". Copying
            // all that is there from `from` on, as often as needed, doubles the piece each time.
            _ => {
                while out.len() < end {
                    let piece = (end - out.len()).min(out.len() - from);
                    out.extend_from_within(from..from + piece);
                }
            }
        }
        if end < wanted {
            return Err(Flaw::TooLong);
        }
    }
}

/// The codes that blocks of type 1 use (RFC 1951 §3.2.6).
fn fixed_codes() -> Result<(Code, Code)> {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Ok((Code::new(&lengths, false)?, Code::new(&[5; 32], false)?))
}

/// The codes that a block of type 2 begins with: the code lengths of both, run-length coded in a third (RFC 1951 §3.2.7).
fn dynamic_codes(bits: &mut Bits) -> Result<(Code, Code)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    if literals > 286 || distances > 30 {
        return Err(Flaw::Corrupt("has a block with more symbols than there are"));
    }
    let mut lengths = [0; 19];
    let present = bits.take(4)? as usize + 4;
    for &symbol in &ORDER[..present] {
        lengths[symbol] = bits.take(3)? as u8;
    }
    let code = Code::new(&lengths, false)?;

    let mut lengths = [0; 286 + 30];
    let lengths = &mut lengths[..literals + distances];
    let mut done = 0;
    while done < lengths.len() {
        bits.refill(15 + 7);
        let (length, times) = match bits.symbol(&code)? {
            16 => {
                let before = done.checked_sub(1).ok_or(Flaw::Corrupt("repeats a code length before the first"))?;
                (lengths[before], 3 + bits.take(2)?)
            }
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length as u8, 1),
        };
        let run = lengths.get_mut(done..done + times as usize);
        run.ok_or(Flaw::Corrupt("repeats a code length past the last"))?.fill(length);
        done += times as usize;
    }
    let (literals, distances) = lengths.split_at(literals);
    if literals[END_OF_BLOCK as usize] == 0 {
        return Err(Flaw::Corrupt("has a block without an end-of-block code"));
    }
    Ok((Code::new(literals, false)?, Code::new(distances, true)?))
}

/// How many bits the first look-up takes: most words are no longer, and the table stays small and near.
const FIRST: usize = 11;

/// A Huffman code as a table to look symbols up in.
///
/// No code word is the beginning of another, so the next bits of the input, as many as the longest word has, settle
/// which word comes first. A table with an entry for each possibility decodes any symbol in one look-up: with the words
/// 0, 10 and 11, `00` and `01` → first, `10` → second, `11` → third. A word of n bits fills all entries that begin with
/// it. Words can be 15 bits long, though, and such a table would take longer to fill than to use. So the first table is
/// for `first` bits only; where longer words begin with these, its entry leads to another table, for the `second` bits
/// after them.
///
/// An entry is `symbol << 4 | n`, or `s << 4` where the table to go on with begins at `s << second`, or 0 for no word.
struct Code {
    table: Vec<u16>,
    first: usize,
    second: usize,
}

impl Code {
    /// The code whose symbol `s` has a word of `lengths[s]` bits, at most 15, or none where that is 0.
    ///
    /// Words of one length are consecutive numbers in the order of their symbols, shorter ones come before longer ones
    /// (RFC 1951 §3.2.2): the lengths alone settle the code. They must use up all bit patterns; only a distance code may
    /// have a single word of one bit, or none at all (§3.2.7).
    fn new(lengths: &[u8], is_distances: bool) -> Result<Code> {
        let mut count = [0; 16];
        for &length in lengths {
            count[length as usize] += 1;
        }
        count[0] = 0;
        let bits = (1..16).rev().find(|&n| count[n] != 0).unwrap_or(0);
        let mut next = [0; 16];
        let mut free = 1; // bit patterns of the current length that are not yet taken
        for n in 1..=bits {
            next[n] = (next[n - 1] + count[n - 1]) << 1;
            free = free * 2 - count[n];
            if free < 0 {
                return Err(Flaw::Corrupt("has an over-full Huffman code"));
            }
        }
        if free > 0 && !(is_distances && bits <= 1) {
            return Err(Flaw::Corrupt("has an incomplete Huffman code"));
        }
        let first = bits.min(FIRST);
        let second = bits - first;
        let mut table = vec![0; 1 << first];
        for (symbol, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length != 0) {
            let length = length as usize;
            // Words come most significant bit first, everything else (and so a table's index) least significant first.
            let word = usize::from((next[length] as u16).reverse_bits() >> (16 - length));
            next[length] += 1;
            let entry = (symbol << 4 | length) as u16;
            if length <= first {
                table[word..1 << first].iter_mut().step_by(1 << length).for_each(|place| *place = entry);
            } else {
                let beginning = word & ((1 << first) - 1);
                if table[beginning] == 0 {
                    table[beginning] = (table.len() >> second << 4) as u16;
                    table.resize(table.len() + (1 << second), 0);
                }
                let start = usize::from(table[beginning] >> 4) << second;
                let places = table[start..start + (1 << second)][word >> first..].iter_mut();
                places.step_by(1 << (length - first)).for_each(|place| *place = entry);
            }
        }
        Ok(Code { table, first, second })
    }
}

/// The input as a stream of bits, the least significant of each byte first (RFC 1951 §3.1.1).
struct Bits<'a> {
    input: &'a [u8],
    /// Where the bytes that are not yet in `buffer` begin.
    next: usize,
    /// The next `count` bits. Bits above them are either zero or what the input has there.
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    /// Makes the buffer hold at least `wanted` bits, at most 56, or all that are left.
    #[inline(always)]
    fn refill(&mut self, wanted: u32) {
        if self.count >= wanted {
            return;
        }
        if let Some(&bytes) = self.input[self.next..].first_chunk() {
            // Eight bytes at a time: those that fit only in part are read again, onto the same bits, the next time.
            self.buffer |= u64::from_le_bytes(bytes) << self.count;
            let taken = (63 - self.count) / 8;
            self.next += taken as usize;
            self.count += taken * 8;
        } else {
            while self.count <= 56
                && let Some(&byte) = self.input.get(self.next)
            {
                self.buffer |= u64::from(byte) << self.count;
                self.next += 1;
                self.count += 8;
            }
        }
    }

    /// The next `n` bits, at most 32, as a number.
    fn take(&mut self, n: u8) -> Result<u32> {
        self.refill(32);
        self.take_held(n)
    }

    /// The same, of what the buffer holds already.
    #[inline(always)]
    fn take_held(&mut self, n: u8) -> Result<u32> {
        let value = self.buffer & ((1 << n) - 1);
        self.skip(n.into())?;
        Ok(value as u32)
    }

    /// The next symbol in `code`; the buffer must have been refilled with 15 bits.
    #[inline(always)]
    fn symbol(&mut self, code: &Code) -> Result<u16> {
        let bits = self.buffer as usize;
        let mut entry = code.table[bits & ((1 << code.first) - 1)];
        if entry & 15 == 0 {
            if entry == 0 {
                return Err(Flaw::Corrupt("has bits that no Huffman code begins with"));
            }
            let start = usize::from(entry >> 4) << code.second;
            entry = code.table[start + (bits >> code.first & ((1 << code.second) - 1))];
        }
        self.skip((entry & 15).into())?;
        Ok(entry >> 4)
    }

    /// The number that `symbol` and its extra bits, which the buffer must hold, stand for: a length or a distance.
    #[inline(always)]
    fn number(&mut self, ranges: &[(u16, u8)], symbol: u16) -> Result<usize> {
        let reserved = Flaw::Corrupt("uses a reserved length or distance symbol");
        let &(base, extra) = ranges.get(symbol as usize).ok_or(reserved)?;
        Ok(base as usize + self.take_held(extra)? as usize)
    }

    #[inline(always)]
    fn skip(&mut self, n: u32) -> Result<()> {
        self.count = self.count.checked_sub(n).ok_or(CUT)?;
        self.buffer >>= n;
        Ok(())
    }

    /// Goes on to the input's next whole byte, giving back the whole bytes that the buffer holds.
    fn align(&mut self) {
        self.next -= (self.count / 8) as usize;
        (self.buffer, self.count) = (0, 0);
    }
}

/// The CRC-32 of RFC 1952 §8: the remainder of the bytes, as a polynomial over the bits, by 0xedb88320 (bits reversed).
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        // Each byte's share of the remainder depends only on itself and on how many bytes follow it: sixteen look-ups
        // that need not wait for one another do the work of sixteen rounds of the loop below.
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
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb88320 } else { 0 };
            bit += 1;
        }
        table[0][byte] = crc;
        byte += 1;
    }
    let mut n = 1;
    while n < 16 {
        byte = 0;
        while byte < 256 {
            let crc = table[n - 1][byte];
            table[n][byte] = crc >> 8 ^ table[0][crc as u8 as usize];
            byte += 1;
        }
        n += 1;
    }
    table
};
