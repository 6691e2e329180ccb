//! A decoder for DEFLATE (RFC 1951), the compression in gzip files.
//!
//! DEFLATE combines two methods. A *match* says "copy `length` bytes from `distance` bytes back" in
//! place of the bytes themselves. *Huffman codes* give frequent symbols few bits and rare ones
//! many. Data comes in blocks, each with two codes of its own: one for literal bytes, match lengths
//! and the end of the block, the other for distances.

/// An error completes the sentence "a gzip file that …".
pub type Result<T> = std::result::Result<T, &'static str>;

/// The error of a file that has been cut short.
pub const CUT_SHORT: &str = "ends too early";

/// An error unless the condition holds.
#[inline(always)]
pub fn ensure(condition: bool, error: &'static str) -> Result<()> {
    if condition { Ok(()) } else { Err(error) }
}

/// Appends the data that `input` begins with to `output`, and returns how many bytes of `input` it
/// takes.
///
/// Stops early once `output` holds `enough` bytes, with at most 65,535 more (the longest stored
/// block).
pub fn inflate(input: &[u8], output: &mut Vec<u8>, enough: usize) -> Result<usize> {
    let start = output.len();
    let mut bits = Bits { input, next: 0, buffer: 0, count: 0 };
    let fixed = fixed_codes()?;
    loop {
        let is_last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored_block(&mut bits, output)?,
            1 => compressed_block(&fixed, &mut bits, output, start, enough)?,
            2 => compressed_block(&dynamic_codes(&mut bits)?, &mut bits, output, start, enough)?,
            _ => return Err("has a block of the reserved type"),
        }
        if is_last || output.len() >= enough {
            bits.align();
            return Ok(bits.next);
        }
    }
}

/// A block that is not compressed: its length, the length's complement, the bytes (RFC 1951
/// §3.2.4).
fn stored_block(bits: &mut Bits, output: &mut Vec<u8>) -> Result<()> {
    bits.align();
    let length = bits.take(16)?;
    let complement = bits.take(16)?;
    ensure(
        length == !complement & 0xffff,
        "has a stored block whose length does not match its complement",
    )?;
    bits.align();
    let bytes = bits.input[bits.next..].get(..length as usize).ok_or(CUT_SHORT)?;
    output.extend_from_slice(bytes);
    bits.next += bytes.len();
    Ok(())
}

const END_OF_BLOCK: u16 = 256;

/// A compressed block: literals and matches up to the end-of-block symbol (RFC 1951 §3.2.3).
/// Matches reach no further back than `start`.
fn compressed_block(
    (literals, distances): &(Code, Code),
    bits: &mut Bits,
    output: &mut Vec<u8>,
    start: usize,
    enough: usize,
) -> Result<()> {
    while output.len() < enough {
        // A match takes at most 15 bits of code and 5 extra bits for its length, 15 and 13 for its
        // distance.
        bits.refill(48);
        let symbol = bits.symbol(literals)?;
        if symbol < END_OF_BLOCK {
            output.push(symbol as u8);
            continue;
        }
        if symbol == END_OF_BLOCK {
            return Ok(());
        }
        let length = match symbol - 257 {
            28 => 258,
            symbol @ 0..28 => 3 + bits.number::<4>(symbol)?,
            _ => return Err("uses a reserved length symbol"),
        };
        let distance = match bits.symbol(distances)? {
            symbol @ 0..30 => 1 + bits.number::<2>(symbol)?,
            _ => return Err("uses a reserved distance symbol"),
        };
        ensure(distance <= output.len() - start, "copies from before its own start")?;
        // A match may overlap what it writes: length 6 and distance 2 after "ab" give "abababab".
        // Copying all that is there from `from` on, as often as needed, doubles the piece each
        // time.
        let from = output.len() - distance;
        let end = output.len() + length;
        while output.len() < end {
            let piece = (end - output.len()).min(output.len() - from);
            output.extend_from_within(from..from + piece);
        }
    }
    Ok(())
}

/// The codes that blocks of type 1 use (RFC 1951 §3.2.6).
fn fixed_codes() -> Result<(Code, Code)> {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Ok((code(&lengths, false)?, code(&[5; 32], false)?))
}

/// The codes that a block of type 2 begins with: the code lengths of both, run-length coded in a
/// third (RFC 1951 §3.2.7).
fn dynamic_codes(bits: &mut Bits) -> Result<(Code, Code)> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.take(5)? as usize + 257;
    let distances = bits.take(5)? as usize + 1;
    ensure(literals <= 286 && distances <= 30, "has a block with more symbols than there are")?;
    let mut lengths = [0; 19];
    let present = bits.take(4)? as usize + 4;
    for &symbol in &ORDER[..present] {
        lengths[symbol] = bits.take(3)? as u8;
    }
    let length_code = code(&lengths, false)?;

    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        bits.refill(15);
        let (length, times) = match bits.symbol(&length_code)? {
            16 => (
                *lengths.last().ok_or("repeats a code length before the first")?,
                3 + bits.take(2)?,
            ),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length as u8, 1),
        };
        lengths.resize(lengths.len() + times as usize, length);
    }
    ensure(lengths.len() == literals + distances, "repeats a code length past the last")?;
    let (literals, distances) = lengths.split_at(literals);
    ensure(literals[usize::from(END_OF_BLOCK)] != 0, "has a block without an end-of-block code")?;
    Ok((code(literals, false)?, code(distances, true)?))
}

/// A Huffman code as a table that gives the next symbol in one look-up.
///
/// No code word is the beginning of another, so the next bits of the input, as many as the longest
/// word has, settle which word comes first. The table has an entry, `symbol << 4 | length of the
/// word`, for each possibility of these bits: with the words 0, 10 and 11, those for `00` and `01`
/// are the first symbol's, `10` the second's, `11` the third's. Where no word begins so, the entry
/// is 0.
type Code = Vec<u16>;

/// The code whose symbol `s` has a word of `lengths[s]` bits, at most 15, or none where that is 0.
///
/// Words are consecutive, shorter ones before longer ones and those of one length in the order of
/// their symbols (RFC 1951 §3.2.2): the lengths alone settle the code. The words must use up the
/// table; only a distance code may have a single word of one bit, or none at all (§3.2.7).
fn code(lengths: &[u8], is_distances: bool) -> Result<Code> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut table = vec![0; 1 << longest];
    let mut used = 0;
    for length in 1..=longest {
        for (symbol, _) in (0..).zip(lengths).filter(|&(_, &other)| other == length) {
            ensure(used < table.len(), "has an over-full Huffman code")?;
            // Words come most significant bit first, all else (and so the table's index) least
            // significant first.
            let word = usize::from((used as u16).reverse_bits() >> (16 - longest));
            table[word..]
                .iter_mut()
                .step_by(1 << length)
                .for_each(|entry| *entry = symbol << 4 | u16::from(length));
            used += 1 << (longest - length);
        }
    }
    ensure(used == table.len() || is_distances && longest <= 1, "has an incomplete Huffman code")?;
    Ok(table)
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
        let rest = &self.input[self.next..];
        let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            bytes
        });
        // Bytes that fit only in part are read again, onto the same bits, the next time.
        self.buffer |= u64::from_le_bytes(bytes) << self.count;
        let taken = rest.len().min((63 - self.count as usize) / 8);
        self.next += taken;
        self.count += 8 * taken as u32;
    }

    /// The next `n` bits, at most 32, as a number.
    #[inline(always)]
    fn take(&mut self, n: u32) -> Result<u32> {
        self.refill(n);
        let value = self.buffer & ((1 << n) - 1);
        self.skip(n)?;
        Ok(value as u32)
    }

    /// The next symbol in `code`; the buffer must have been refilled with 15 bits.
    #[inline(always)]
    fn symbol(&mut self, code: &Code) -> Result<u16> {
        let entry = code[self.buffer as usize & (code.len() - 1)];
        ensure(entry != 0, "has bits that no Huffman code begins with")?;
        self.skip(u32::from(entry & 15))?;
        Ok(entry >> 4)
    }

    /// The match length or distance, counted from 0, that `symbol` and the extra bits after it
    /// stand for.
    ///
    /// `2 · STEPS` symbols stand for one value each, the next `STEPS` for two each, then four, and
    /// so on (RFC 1951 §3.2.5): a small floating-point number, whose exponent tells the extra bits.
    #[inline(always)]
    fn number<const STEPS: u16>(&mut self, symbol: u16) -> Result<usize> {
        let extra = u32::from(symbol / STEPS).saturating_sub(1);
        let first = if symbol < STEPS { symbol } else { STEPS + symbol % STEPS };
        Ok((usize::from(first) << extra) + self.take(extra)? as usize)
    }

    #[inline(always)]
    fn skip(&mut self, n: u32) -> Result<()> {
        self.count = self.count.checked_sub(n).ok_or(CUT_SHORT)?;
        self.buffer >>= n;
        Ok(())
    }

    /// Goes on to the input's next whole byte, giving back the whole bytes that the buffer holds.
    fn align(&mut self) {
        self.next -= (self.count / 8) as usize;
        (self.buffer, self.count) = (0, 0);
    }
}
