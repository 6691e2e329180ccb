//! The data files: gzip, DEFLATE and IDX, sound and broken.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use crate::common::{Folder, MNIST, assert_error, idx_bytes, numbers};
use mnist_mlp::data::Dataset;
use mnist_mlp::data::gzip::gunzip;
use mnist_mlp::data::idx;
use mnist_mlp::error::Result;
use proptest::prelude::*;

// ---- Tools -------------------------------------------------------------------------------------

/// What the real gzip program makes of `content`.
fn real_gzip(folder: &Folder, content: &[u8], level: u32) -> Vec<u8> {
    let stdin = File::open(folder.file("content", content)).unwrap();
    let output = Command::new("gzip").arg("-c").arg(format!("-{level}")).stdin(stdin).output();
    let output = output.expect("this test needs the program gzip: install it");
    assert!(output.status.success(), "gzip failed: {output:?}");
    output.stdout
}

fn noise(length: usize) -> Vec<u8> {
    let mut number = numbers(1);
    (0..length).map(|_| (number() * 128.0 + 128.0) as u8).collect()
}

/// The first images of MNIST's test set.
fn pictures(count: usize) -> &'static [u8] {
    &MNIST.test.images.pixels[..count * 784]
}

/// A gzip member around DEFLATE bytes, with the optional header fields as given.
fn member_with(flags: u8, fields: &[u8], deflate: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    bytes.extend(fields);
    if flags & 2 != 0 {
        bytes.extend((naive_crc32(&bytes) as u16).to_le_bytes());
    }
    bytes.extend(deflate);
    bytes.extend(naive_crc32(content).to_le_bytes());
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes
}

fn member(deflate: &[u8], content: &[u8]) -> Vec<u8> {
    member_with(0, &[], deflate, content)
}

/// One bit at a time, straight from the definition.
fn naive_crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb88320 } else { crc >> 1 }
        })
    })
}

/// Stored blocks of up to `size` bytes each.
fn stored(content: &[u8], size: usize) -> Vec<u8> {
    let count = content.len().div_ceil(size).max(1);
    let block = |i| {
        let bytes = &content[i * size..content.len().min((i + 1) * size)];
        let length = bytes.len() as u16;
        [&[u8::from(i + 1 == count)], &length.to_le_bytes()[..], &(!length).to_le_bytes(), bytes]
            .concat()
    };
    (0..count).flat_map(block).collect()
}

/// The order in which a block tells the lengths of its third code, and the lengths used here: a
/// complete code.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const THIRD: [u8; 19] = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5];

/// A writer of DEFLATE, bit by bit, that writes whatever nonsense it is told to.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    used: u32,
}

impl Writer {
    /// A writer that has begun a last block with the fixed codes.
    fn fixed() -> Writer {
        let mut writer = Writer::default();
        writer.bits(1, 1).bits(1, 2);
        writer
    }

    /// A writer that has begun a last block with codes of its own, for so many symbols, and has
    /// told the third code.
    fn third(literals: usize, distances: usize) -> Writer {
        let mut writer = Writer::default();
        writer.bits(1, 1).bits(2, 2).bits(literals - 257, 5).bits(distances - 1, 5).bits(15, 4);
        for symbol in ORDER {
            writer.bits(THIRD[symbol].into(), 3);
        }
        writer
    }

    /// The same with the two codes' lengths, told one by one.
    fn dynamic(literals: &[u8], distances: &[u8]) -> Writer {
        let mut writer = Writer::third(literals.len(), distances.len());
        for &length in literals.iter().chain(distances) {
            writer.word(&THIRD, length.into());
        }
        writer
    }

    fn bits(&mut self, value: usize, count: u32) -> &mut Writer {
        for i in 0..count {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> i & 1) as u8) << (self.used % 8);
            self.used += 1;
        }
        self
    }

    /// The word of `symbol` in the canonical code with these lengths.
    fn word(&mut self, lengths: &[u8], symbol: usize) -> &mut Writer {
        let mut words: Vec<_> =
            lengths.iter().copied().zip(0..).filter(|&(length, _)| length > 0).collect();
        words.sort();
        let mut word = 0usize;
        let mut before = 0;
        for (length, candidate) in words {
            word <<= length - before;
            if candidate == symbol {
                for i in (0..length).rev() {
                    self.bits(word >> i, 1);
                }
                return self;
            }
            (word, before) = (word + 1, length);
        }
        panic!("symbol {symbol} has no word");
    }

    fn end(&mut self, literals: &[u8]) -> Vec<u8> {
        self.word(literals, 256).bytes.clone()
    }

    /// Checks that what was written so far, with zero bits after it, is refused with `words`.
    #[track_caller]
    fn assert_says(&mut self, words: &str) {
        assert_corrupt(&member(&self.bits(0, 64).bytes, b""), words);
    }
}

fn fixed_literals() -> Vec<u8> {
    [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat()
}

const FIXED_DISTANCES: [u8; 32] = [5; 32];

/// Checks that a gzip file is refused with `words`.
#[track_caller]
fn assert_corrupt(bytes: &[u8], words: &str) {
    assert_error(gunzip(bytes, 1 << 24), &[words]);
}

/// Checks that reading the file is an error that says all of `words`, and the file's name.
#[track_caller]
fn assert_refused(path: &Path, dimensions: usize, words: &[&str]) {
    let error = if dimensions == 1 {
        idx::read_file::<1>(path).err()
    } else {
        idx::read_file::<3>(path).err()
    };
    assert_error(error.map_or(Ok(()), Err), &[words, &[path.to_str().unwrap()]].concat());
}

// ---- gzip: what is sound -----------------------------------------------------------------------

#[test]
fn what_the_real_gzip_writes_is_read_back() {
    let folder = Folder::new("real-gzip");
    let text = "In the beginning was the weight, and the weight was with noise. "
        .repeat(2000)
        .into_bytes();
    // All lengths of matches, and all distances by their logarithm.
    let mut number = numbers(3);
    let mut copies = noise(33_000);
    for i in 0..3000 {
        let distance = 2_f32.powf(7.5 * (number() + 1.0)) as usize;
        (0..3 + i % 256).for_each(|_| copies.push(copies[copies.len() - distance]));
        copies.push((number() * 128.0) as i8 as u8);
    }
    for content in
        [vec![], vec![7], vec![0; 1 << 20], noise(100_000), text, copies, pictures(500).to_vec()]
    {
        for level in [1, 6, 9] {
            let file = real_gzip(&folder, &content, level);
            let length = content.len();
            for most in [usize::MAX, length + 1, length, length.saturating_sub(1), 9, 0] {
                let found = gunzip(&file, most).unwrap();
                assert!(
                    found == content[..length.min(most)],
                    "{most} of {length} bytes, level {level}"
                );
            }
        }
    }
}

#[test]
fn members_follow_one_another() {
    let folder = Folder::new("members");
    let all = [
        real_gzip(&folder, b"first ", 6),
        real_gzip(&folder, b"", 6),
        real_gzip(&folder, b"last", 1),
    ]
    .concat();
    assert_eq!(gunzip(&all, 11).unwrap(), b"first last");
    assert_eq!(gunzip(&all, 8).unwrap(), b"first la");

    // A match must not reach back into the member before.
    let literals = fixed_literals();
    let mut block = Writer::fixed();
    block.word(&literals, b'x'.into()).word(&literals, 257).word(&FIXED_DISTANCES, 1);
    let second = member(&block.end(&literals), b"xyxy");
    assert_corrupt(&[real_gzip(&folder, b"yy", 6), second].concat(), "before its own start");
}

#[test]
fn optional_header_fields_are_skipped_and_checked() {
    let content = b"digits";
    let deflate = stored(content, 100);
    for flags in 0..32 {
        let mut fields = Vec::new();
        for (flag, field) in [(4, &b"\x05\x00extra"[..]), (8, b"name\0"), (16, b"a comment\0")] {
            if flags & flag != 0 {
                fields.extend(field);
            }
        }
        let mut file = member_with(flags, &fields, &deflate, content);
        assert_eq!(gunzip(&file, 7).unwrap(), content, "flags {flags}");
        for end in 0..file.len() {
            assert_eq!(
                gunzip(&file[..end], 7),
                Err("ends too early"),
                "flags {flags}, {end} bytes"
            );
        }
        if flags & 2 != 0 {
            file[5] ^= 1; // within the time, which nothing but the header's own check covers
            assert_corrupt(&file, "CRC-16");
        }
    }
}

#[test]
fn a_block_may_do_without_distances() {
    let mut literals = vec![0; 257];
    (literals[65], literals[256]) = (1, 1);
    // No distance at all, and one of one bit that is never used.
    for distances in [[0, 0], [1, 0], [0, 1]] {
        let mut block = Writer::dynamic(&literals, &distances);
        assert_eq!(
            gunzip(&member(&block.word(&literals, 65).end(&literals), b"A"), 2).unwrap(),
            b"A"
        );
    }
    // One of one bit that is used.
    let mut literals = vec![0; 258];
    (literals[65], literals[256], literals[257]) = (1, 2, 2);
    let mut block = Writer::dynamic(&literals, &[1]);
    block.word(&literals, 65).word(&literals, 257).word(&[1], 0);
    assert_eq!(gunzip(&member(&block.end(&literals), b"AAAA"), 5).unwrap(), b"AAAA");
    // The other bit is no distance, nor is any bit where there are none.
    for distances in [1, 0] {
        let mut block = Writer::dynamic(&literals, &[distances]);
        block
            .word(&literals, 65)
            .word(&literals, 257)
            .bits(1, 1)
            .assert_says("no Huffman code begins with");
    }
}

#[test]
fn words_have_up_to_15_bits() {
    let mut literals = vec![0; 257];
    (1..16).for_each(|length| literals[16 * length] = length as u8);
    literals[256] = 15;
    let mut block = Writer::dynamic(&literals, &[0]);
    let content: Vec<u8> = (1..16).map(|length| 16 * length).collect();
    content.iter().for_each(|&byte| _ = block.word(&literals, byte.into()));
    assert_eq!(gunzip(&member(&block.end(&literals), &content), 16).unwrap(), content);
}

// ---- gzip: what is not -------------------------------------------------------------------------

#[test]
fn wrong_headers_and_trailers_are_refused() {
    let content = b"digits";
    let good = member(&stored(content, 100), content);
    let end = good.len();
    for (at, flip, words) in [
        (0, 1, "1f 8b"),
        (1, 1, "1f 8b"),
        (2, 1, "method"),
        (3, 32, "reserved flags"),
        (3, 64, "reserved flags"),
        (3, 128, "reserved flags"),
        (end - 8, 1, "CRC-32"),
        (end - 5, 16, "CRC-32"),
        (end - 4, 1, "length told at its end"),
        (end - 1, 16, "length told at its end"),
    ] {
        let mut changed = good.clone();
        changed[at] ^= flip;
        assert_corrupt(&changed, words);
    }
    // The zeros that tapes and tar pad with are no garbage, but what follows them is.
    assert_eq!(gunzip(&[&good, &[0; 1000][..]].concat(), usize::MAX).unwrap(), content);
    for garbage in
        [&b"\0\0x"[..], b"x", b"\x1f", b"\x1f\x8c", b"some text that goes on for a while"]
    {
        assert_corrupt(&[&good, garbage].concat(), "followed by other bytes");
    }
    assert_corrupt(&[&good, &b"\x1f\x8b\x08"[..]].concat(), "ends too early");
}

#[test]
fn wrong_blocks_are_refused() {
    Writer::default().bits(1, 1).bits(3, 2).assert_says("reserved type");
    Writer::default().bits(1, 8).bits(5, 16).bits(!5 ^ 1, 16).assert_says("complement");
    let fixed = fixed_literals();
    for symbol in [286, 287] {
        Writer::fixed().word(&fixed, 65).word(&fixed, symbol).assert_says("reserved length");
    }
    for symbol in [30, 31] {
        let mut block = Writer::fixed();
        block.word(&fixed, 65).word(&fixed, 257).word(&FIXED_DISTANCES, symbol);
        block.assert_says("reserved distance");
    }
    for (distance_symbol, extra, count) in [(1, 0, 0), (2, 0, 0), (29, 0x1fff, 13)] {
        let mut block = Writer::fixed();
        block
            .word(&fixed, 65)
            .word(&fixed, 257)
            .word(&FIXED_DISTANCES, distance_symbol)
            .bits(extra, count);
        block.assert_says("before its own start");
    }
}

#[test]
fn wrong_huffman_codes_are_refused() {
    let literals = |words: &[(usize, u8)]| {
        let mut lengths = vec![0; 258];
        words.iter().for_each(|&(symbol, length)| lengths[symbol] = length);
        lengths
    };
    let good = literals(&[(65, 1), (256, 1)]);
    for (literals, distances, words) in [
        (literals(&[(65, 1), (66, 1), (256, 1)]), &[1][..], "over-full"),
        (literals(&[(65, 1), (66, 2), (256, 2), (257, 15)]), &[1], "over-full"),
        (literals(&[(65, 1), (256, 2)]), &[1], "incomplete"),
        (literals(&[(256, 1)]), &[1], "incomplete"),
        (literals(&[(65, 1), (66, 1)]), &[1], "end-of-block"),
        (good.clone(), &[1, 1, 1], "over-full"),
        (good.clone(), &[2], "incomplete"),
        (good.clone(), &[1, 2], "incomplete"),
        (good.clone(), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], "incomplete"),
        (vec![9; 287], &[1], "more symbols than there are"),
        (good, &[5; 31], "more symbols than there are"),
    ] {
        Writer::dynamic(&literals, distances).assert_says(words);
    }

    // The third code by itself, as the lengths of its symbols 16, 17, 18 and 0.
    for (lengths, words) in
        [([0, 0, 0, 0], "incomplete"), ([1, 1, 1, 0], "over-full"), ([0, 0, 0, 1], "incomplete")]
    {
        let mut block = Writer::default();
        block.bits(1, 1).bits(2, 2).bits(0, 5).bits(0, 5).bits(0, 4);
        lengths.iter().for_each(|&length| _ = block.bits(length, 3));
        block.assert_says(words);
    }

    // Code lengths of 258 symbols, repeated before there is one, and past the last one.
    let runs = |runs: &[(usize, usize, u32)], words: &str| {
        let mut block = Writer::third(257, 1);
        runs.iter()
            .for_each(|&(symbol, extra, count)| _ = block.word(&THIRD, symbol).bits(extra, count));
        block.assert_says(words);
    };
    let most = (18, 127, 7); // 138 zeros
    runs(&[(16, 0, 2)], "before the first");
    runs(&[most, (18, 110, 7)], "past the last");
    runs(&[most, (18, 107, 7), (2, 0, 0), (16, 0, 2)], "past the last");
    runs(&[most, (18, 108, 7), (17, 0, 3)], "past the last");
    // Not past it: the next check finds what is wrong.
    runs(&[most, (18, 106, 7), (17, 0, 3)], "end-of-block");
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let folder = Folder::new("flips");
    let text = b"three blind mice, three blind mice, see how they run, see how they run".repeat(3);
    for content in [b"".to_vec(), text, pictures(2).to_vec()] {
        let stored = member(&stored(&content, 100), &content);
        for mut file in [real_gzip(&folder, &content, 6), real_gzip(&folder, &content, 1), stored] {
            for end in 0..file.len() {
                let cut = gunzip(&file[..end], usize::MAX);
                assert!(cut.is_err(), "cut to {end} bytes: {cut:?}");
            }
            for bit in 0..file.len() * 8 {
                file[bit / 8] ^= 1 << (bit % 8);
                if let Ok(found) = gunzip(&file, 1 << 20) {
                    assert!(found == content, "bit {bit} flipped");
                }
                file[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        most in 0..500usize,
    ) {
        // By themselves, after a sound header, and after one with a last block of each compressed
        // type begun.
        let header = b"\x1f\x8b\x08\0abcdef";
        let after = |bytes: &[u8]| [header, bytes].concat();
        for start in [vec![], after(&[]), after(&[3]), after(&[5])] {
            if let Ok(content) = gunzip(&[&start[..], &bytes].concat(), most) {
                prop_assert!(content.len() <= most);
            }
        }
    }
}

/// Run by the test below, by itself, with little memory allowed.
#[test]
#[ignore = "a part of `lies_cost_no_memory`"]
fn lies_within_little_memory() {
    // A file whose last bytes claim 4 GiB of content.
    let content = noise(1000);
    let mut file = member(&stored(&content, 1000), &content);
    let end = file.len();
    file[end - 4..].fill(255);
    assert_error(gunzip(&file, usize::MAX), &["length told at its end"]);
    // One that is long enough to become 16 GiB, of which only the start is wanted, or all.
    let file = member(&stored(&noise(1 << 24), 65_535), b"");
    assert_eq!(gunzip(&file, 10).unwrap(), content[..10]);
    assert_error(gunzip(&file, usize::MAX), &["more bytes than fit into memory"]);
    // Four matches of 258 bytes from each of 4 MiB.
    let mut literals = vec![0; 286];
    (literals[65], literals[256], literals[285]) = (2, 2, 1);
    let bomb =
        [&Writer::dynamic(&literals, &[1]).word(&literals, 65).bytes[..], &[0; 1 << 22]].concat();
    assert_eq!(gunzip(&member(&bomb, b""), 1000).unwrap(), [65; 1000]);
    // Headers that promise the world, plain and gzipped.
    let folder = Folder::new("lies");
    for dims in
        [[u32::MAX; 3], [u32::MAX, u32::MAX, 1], [u32::MAX, 1, 1], [1 << 20, 1 << 10, 1 << 10]]
    {
        let bytes = idx_bytes(&dims, &content);
        assert_refused(&folder.file("plain", &bytes), 3, &[&dims[0].to_string()]);
        assert_refused(
            &folder.file("gzipped", &member(&stored(&bytes, 2000), &bytes)),
            3,
            &[&dims[0].to_string()],
        );
    }
    // A sparse file of 16 GiB whose header promises little, plain and gzipped, or even more.
    let small = idx_bytes(&[1, 2, 2], &[1; 4]);
    let sparse = |start: &[u8], length| {
        let path = folder.file("sparse", start);
        File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
        path
    };
    assert_refused(&sparse(&small, 1 << 34), 3, &["expected 20 bytes"]);
    let large = idx_bytes(&[1 << 15, 1 << 10, 1 << 10], &[]);
    assert_refused(&sparse(&large, 1 << 34), 3, &["only 17179869184 bytes"]);
    let padded = sparse(&member(&stored(&small, 20), &small), 1 << 34);
    assert_eq!(idx::read_file(&padded), Ok(([1, 2, 2], vec![1; 4])));
    // Sound ones, as far as one can tell, of 2 GiB, plain and gzipped: the file is not to blame.
    let header = idx_bytes(&[1 << 11, 1 << 10, 1 << 10], &[]);
    for path in
        [sparse(&header, (1 << 31) + 16), sparse(&member(&stored(&header, 16), &header), 1 << 22)]
    {
        assert_refused(&path, 3, &["cannot read", "out of memory; close other programs"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn lies_cost_no_memory() {
    let program = std::env::current_exe().unwrap();
    let run =
        "ulimit -v 1000000 && exec \"$0\" --ignored --exact data::files::lies_within_little_memory";
    let output = Command::new("sh").arg("-c").arg(run).arg(program).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}

// ---- IDX ---------------------------------------------------------------------------------------

#[test]
fn sound_files_are_read_plain_or_gzipped_whatever_their_name() {
    let folder = Folder::new("sound");
    let images = pictures(500); // longer than what is read before the header has been looked at
    let bytes = idx_bytes(&[500, 28, 28], images);
    let wanted = ([500, 28, 28], images.to_vec());
    let gzipped = real_gzip(&folder, &bytes, 6);
    let stored = stored(&bytes, 65_535);
    // A name, a comment, or both, longer than what is read at first.
    let named = [8, 16, 8 | 16].map(|flags| {
        let texts =
            [vec![b'n'; 1_000_000], vec![0]].concat().repeat(if flags == 24 { 2 } else { 1 });
        member_with(flags, &texts, &stored, &bytes)
    });
    let [name, comment, both] = &named;
    let stored = member(&stored, &bytes);
    for (name, file) in [
        ("plain", &bytes),
        ("plain.gz", &bytes),
        ("zipped", &gzipped),
        ("long.gz", &stored),
        ("name.gz", name),
        ("comment.gz", comment),
        ("both.gz", both),
    ] {
        assert!(idx::read_file(&folder.file(name, file)).unwrap() == wanted, "{name}");
    }
    for length in [0, 5] {
        let values = vec![9; length];
        let path = folder.file("labels", &idx_bytes(&[length as u32], &values));
        assert_eq!(idx::read_file(&path), Ok(([length], values)));
    }
}

/// The file of that name in the folder, as training reads it.
fn read(folder: &Path, name: &str) -> Result<([usize; 1], Vec<u8>)> {
    idx::read_file(&idx::find(folder, name)?)
}

#[test]
fn the_plain_file_is_taken_before_the_gzipped_one() {
    let folder = Folder::new("both");
    folder.file("labels.gz", &real_gzip(&folder, &idx_bytes(&[1], &[1]), 6));
    assert_eq!(read(&folder.0, "labels").unwrap().1, [1]);
    folder.file("labels", &idx_bytes(&[1], &[2]));
    assert_eq!(read(&folder.0, "labels").unwrap().1, [2]);
}

/// As MNIST has them, Kaggle and 7-Zip, EMNIST, and both.
#[test]
fn files_are_found_under_the_names_that_people_have() {
    let [bytes, other] = [1, 2].map(|label| idx_bytes(&[1], &[label]));
    for (split, name) in [("train", "train-labels-idx1-ubyte"), ("t10k", "t10k-labels-idx1-ubyte")]
    {
        let mut names = vec![format!("{split}-labels.idx1-ubyte")];
        for split in if split == "t10k" { vec!["t10k", "test"] } else { vec![split] } {
            names.extend(
                ["labels-idx1", "labels.idx1"]
                    .map(|kind| format!("emnist-letters-{split}-{kind}-ubyte")),
            );
        }
        for found in names {
            let folder = Folder::new(&found);
            folder.file(&found.replace("labels", "images"), &other);
            folder.file(&format!("x{name}"), &other);
            folder.file(&format!("{name}.sha256"), &other);
            folder.file(&format!("{found}.gz"), &real_gzip(&folder, &bytes, 6));
            assert_eq!(read(&folder.0, name).unwrap().1, [1], "{found}.gz");
            fs::create_dir(folder.0.join(&found)).unwrap();
            assert_eq!(
                read(&folder.0, name).unwrap().1,
                [1],
                "{found}.gz beside a folder of that name"
            );
            fs::remove_dir(folder.0.join(&found)).unwrap();
            fs::remove_file(folder.0.join(format!("{found}.gz"))).unwrap();
            folder.file(&found, &bytes);
            assert_eq!(read(&folder.0, name).unwrap().1, [1], "{found}");
            folder.file(&format!("{name}.gz"), &bytes);
            let names = [&format!("{found} and {name}.gz")[..], &format!("{name}.gz and {found}")];
            let error =
                assert_error(read(&folder.0, name), &["one file for", "folder of their own"]);
            assert!(names.iter().any(|names| error.contains(names)), "{error}");
        }
    }
}

#[test]
fn a_missing_file_or_folder_says_what_to_put_there() {
    let folder = Folder::new("missing");
    let file = folder.file("file", b"");
    let nowhere = folder.0.join("nowhere");
    let name = folder.0.join("train-labels-idx1-ubyte");
    for (path, words) in [
        (&folder.0, [name.to_str().unwrap(), ".gz", "no such file", "put the file there"]),
        (&nowhere, [nowhere.to_str().unwrap(), "no such folder", "t10k-images-idx3-ubyte", ".gz"]),
        (&file, [file.to_str().unwrap(), "found a file", "folder", "t10k-images-idx3-ubyte"]),
    ] {
        assert_error(read(path, "train-labels-idx1-ubyte"), &words);
    }
    assert_refused(&nowhere, 1, &["cannot read", "no such file or directory; check the path"]);
    assert_error(
        read(Path::new("~/mnist"), "labels"),
        &["/~/mnist: found no such folder", "~ means nothing"],
    );
    let here = std::env::current_dir().unwrap().join("no/where");
    assert_error(read(Path::new("no/where"), "labels"), &[&format!("{}: found", here.display())]);
}

#[test]
fn broken_idx_files_are_refused() {
    let folder = Folder::new("broken");
    let images = idx_bytes(&[3, 4, 5], &noise(60));
    let labels = idx_bytes(&[3], &[1, 2, 3]);
    let refused = |dimensions: usize, bytes: &[u8], words: &[&str]| {
        assert_refused(&folder.file("plain", bytes), dimensions, words);
        assert_refused(&folder.file("gzipped", &real_gzip(&folder, bytes, 6)), dimensions, words);
    };
    for end in 1..16 {
        refused(
            3,
            &images[..end],
            &[&format!("only {end} bytes"), "within the header", "images", "fetch"],
        );
    }
    for end in [16, 17, 40, 74, 75] {
        let only = format!("only {end} bytes");
        refused(3, &images[..end], &[&only, "76 bytes", "16 of header", "3 × 4 × 5", "cut short"]);
    }
    refused(
        3,
        &[&images, &b"x"[..]].concat(),
        &["at least 77 bytes", "expected 76 bytes", "something was added"],
    );
    refused(1, &[&labels, &[0; 9][..]].concat(), &["expected 11 bytes", "something was added"]);
    refused(
        3,
        &labels,
        &["found an IDX file of labels", "expected an IDX file of images", "swapped"],
    );
    refused(
        1,
        &images,
        &["found an IDX file of images", "expected an IDX file of labels", "swapped"],
    );
    for dims in [&[3, 20][..], &[3, 1, 4, 5]] {
        let words = [
            &format!("found an IDX file of {} dimensions", dims.len())[..],
            "reshape it to count × rows × col",
        ];
        refused(3, &idx_bytes(dims, &noise(60)), &words);
        refused(1, &idx_bytes(dims, &noise(60)), &[words[0], "reshape it to one label an image"]);
    }
    let [int32, float] = [0x0c, 0x0d].map(|byte| [0, 0, byte, 2, 0, 0, 0, 1]);
    refused(
        1,
        &int32,
        &["found 32-bit integers (type byte 0x0c)", "unsigned bytes", "raw_data/README.md"],
    );
    refused(
        3,
        &float,
        &["values of another type (type byte 0x0d)", "unsigned bytes", "raw_data/README.md"],
    );
    refused(
        3,
        b"<!DOCTYPE html>",
        &["begins with \"<!DO\"", "expected an IDX file of images", "fetch"],
    );
    refused(3, &[1, 0, 8, 3, 0, 0], &["begins with"]);
    refused(3, &[0, 1, 8, 3, 0, 0], &["begins with"]);
    refused(
        3,
        &idx_bytes(&[1 << 31, 1 << 31, 4], &[]),
        &["header that promises 2147483648 × 2147483648 × 4 values"],
    );
    refused(3, &idx_bytes(&[u32::MAX, u32::MAX, 1], &[0; 99]), &["header that promises"]);

    assert_refused(
        &folder.file("empty", b""),
        3,
        &["an empty file", "expected an IDX file of images", "fetch"],
    );
    assert_refused(
        &folder.file("empty.gz", &real_gzip(&folder, b"", 6)),
        3,
        &["only 0 bytes", "within the header"],
    );
    fs::create_dir(folder.0.join("inner")).unwrap();
    assert_refused(&folder.0.join("inner"), 3, &["a folder", "expected an IDX file"]);
    assert_error(read(&folder.0, "inner"), &["inner: found no such file"]);

    let gzipped = real_gzip(&folder, &images, 6);
    let cut = folder.file("cut.gz", &gzipped[..gzipped.len() - 9]);
    assert_refused(&cut, 3, &["a gzip file that ends too early", "fetch the file again"]);
    for bit in 0..16 * 8 {
        let mut changed = images.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_refused(&folder.file("changed", &changed), 3, &[]);
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_read_only_as_far_as_promised() {
    assert_refused(Path::new("/dev/zero"), 3, &["another type"]);
    assert_refused(Path::new("/dev/null"), 3, &["an empty file"]);

    let folder = Folder::new("pipe");
    let path = folder.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let bytes = idx_bytes(&[500, 28, 28], pictures(500));
    let packed = real_gzip(&folder, &bytes, 6);
    let longer = [&bytes[..], b"x"].concat();
    for (file, sound) in [(&bytes, true), (&packed, true), (&longer, false)] {
        std::thread::scope(|scope| {
            scope.spawn(|| fs::write(&path, file).ok());
            match idx::read_file::<3>(&path) {
                Ok((_, pixels)) => assert!(sound && pixels == bytes[16..]),
                Err(error) => assert!(
                    !sound && error.to_string().contains("at least 392017 bytes"),
                    "{error}"
                ),
            }
        });
    }
}

#[test]
fn the_files_of_mnist_are_themselves() {
    for (Dataset { images, labels }, first, each, mean) in [
        (
            &MNIST.train,
            [5, 0, 4, 1, 9],
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            33.32,
        ),
        (
            &MNIST.test,
            [7, 2, 1, 0, 4],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
            33.79,
        ),
    ] {
        assert_eq!((images.rows, images.columns), (28, 28));
        assert_eq!(labels[..5], first);
        assert_eq!(
            each,
            std::array::from_fn(|class| labels
                .iter()
                .filter(|&&label| label == class as u8)
                .count())
        );
        let sum: f64 = images.pixels.iter().map(|&pixel| f64::from(pixel)).sum();
        assert!((sum / images.pixels.len() as f64 - mean).abs() < 0.01, "the sum is {sum}");
    }
}
