//! IDX, the format of MNIST's files: two zero bytes, a type byte, the number of dimensions, each
//! dimension's size as a big-endian `u32`, then the values, the last dimension varying fastest
//! (Yann LeCun's page on MNIST). In `tiny.rs` it is `read_idx`.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::data::gzip::{CUT_SHORT, MAGIC, TOO_LITTLE_MEMORY, gunzip};
use crate::error::{Error, Result, absolute};

/// The type byte of unsigned bytes, the only type that MNIST and its relatives use.
const UNSIGNED_BYTE: u8 = 0x08;

/// How much is read at first, before the header is checked: more than the longest block of a gzip
/// file that is not compressed.
const START: u64 = 1 << 18;

const FETCH: &str = "fetch the file again";

/// The file in `folder` that has `name`, one of MNIST's, as it is or as others spell it: `.idx` for
/// `-idx` (Kaggle, 7-Zip), `test` for `t10k` and words before it (EMNIST), `.gz` after it. Where a
/// file is there both plain and gzipped, the plain one.
///
/// # Errors
/// If there is none, or more than one, or the folder itself is missing.
pub fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let place = absolute(folder);
    let no_folder = |found| {
        let next = match folder.starts_with("~") {
            true => "write the path in full, since ~ means nothing here",
            false => {
                "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                 t10k-labels-idx1-ubyte there, each plain or as .gz (a fresh clone has them in \
                 raw_data)"
            }
        };
        Err(Error::new(place.display(), found, "the folder with the data files", next))
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return no_folder("no such folder");
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return no_folder("a file"),
        entries => entries.map_err(|error| Error::reading(folder, &error))?,
    };
    let names = [name.into(), name.replace("t10k", "test")]
        .map(|name| [name.replace("-idx", ".idx"), name]);
    let is_named = |file: &str| {
        let mut before = names.iter().flatten().filter_map(|name| file.strip_suffix(&**name));
        before.any(|before| before.is_empty() || before.ends_with('-'))
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::reading(folder, &error))?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if is_named(file.strip_suffix(".gz").unwrap_or(&file)) && !entry.path().is_dir() {
            found.push(file);
        }
    }
    found.sort();
    found.dedup_by(|gzipped, plain| gzipped.strip_suffix(".gz") == Some(plain));
    match &found[..] {
        [file] => Ok(folder.join(file)),
        [] => {
            let next = "put the file there, or check the folder's name; raw_data/README.md has \
                        other names it may have";
            let expected = "the file, plain or with .gz after its name";
            Err(Error::new(place.join(name).display(), "no such file", expected, next))
        }
        [first, second, ..] => {
            let found = format!("{first} and {second}");
            let expected = format!("one file for {name}");
            let next = "keep the four files of each data set in a folder of their own";
            Err(Error::new(place.display(), found, expected, next))
        }
    }
}

/// Reads one IDX file of unsigned bytes, plain or gzipped as its first bytes tell: the size of each
/// of its `N` dimensions (3 for images, 1 for labels), and the values in row-major order, as many
/// as the product of these. Memory follows the smaller of the file's size and what its header
/// promises.
///
/// # Errors
/// If it can't be read, is something else, or is shorter or longer than its own header promises.
pub fn read_file<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>)> {
    let failed = |error| Error::reading(path, &error);
    let too_large = || failed(io::ErrorKind::OutOfMemory.into());
    let corrupt = |problem| match problem {
        TOO_LITTLE_MEMORY => too_large(),
        _ => {
            Error::new(path.display(), format!("a gzip file that {problem}"), "a sound one", FETCH)
        }
    };
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(Error::new(path.display(), "a folder", "an IDX file", "name the file itself"));
    }
    let mut bytes = Vec::new();
    (&file).take(START).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Err(Error::new(path.display(), "an empty file", an_idx_file(N), FETCH));
    }

    let header_size = 4 + 4 * N;
    let gzipped = bytes.starts_with(&MAGIC);
    // The name and the comment in a gzip file's own header may be of any length.
    while gzipped && gunzip(&bytes, header_size) == Err(CUT_SHORT) {
        let length = bytes.len() as u64;
        if (&file).take(length).read_to_end(&mut bytes).map_err(failed)? == 0 {
            break;
        }
    }
    let start = if gzipped { &gunzip(&bytes, header_size).map_err(corrupt)? } else { &bytes };
    let dims: [usize; N] = parse_header(path, start)?;
    let size = header_size + dims.iter().product::<usize>();
    let check_size = |found: u64| {
        let unit = if gzipped { "bytes once unpacked" } else { "bytes" };
        let expected =
            format!("{size} {unit}, {header_size} of header and {} of values", times(&dims));
        let (found, problem) = match found.cmp(&(size as u64)) {
            Ordering::Equal => return Ok(()),
            Ordering::Less => (format!("only {found} {unit}"), "it was cut short"),
            Ordering::Greater => (format!("at least {found} {unit}"), "something was added to it"),
        };
        Err(Error::new(path.display(), found, expected, format!("{FETCH}: {problem}")))
    };
    if !gzipped && about.is_file() {
        check_size(about.len())?;
    }

    // A gzip file is hardly longer than its content: one that is twice as long need not be read to
    // its end.
    let left = 2 * size as u64 + START;
    bytes.try_reserve_exact(about.len().min(left) as usize).map_err(|_| too_large())?;
    file.take(left).read_to_end(&mut bytes).map_err(failed)?;
    if gzipped {
        bytes = gunzip(&bytes, size + 1).map_err(corrupt)?;
    }
    check_size(bytes.len() as u64)?;
    bytes.drain(..header_size);
    Ok((dims, bytes))
}

/// The dimensions in the header that `start`, the first bytes of the file at `path`, begins with.
fn parse_header<const N: usize>(path: &Path, start: &[u8]) -> Result<[usize; N]> {
    let wrong = |found: String, next| Err(Error::new(path.display(), found, an_idx_file(N), next));
    let cut = || wrong(format!("only {} bytes, which end within the header", start.len()), FETCH);
    let Some((&[zero_0, zero_1, type_byte, count], sizes)) = start.split_first_chunk() else {
        return cut();
    };
    if [zero_0, zero_1] != [0, 0] {
        let beginning = start[..4].escape_ascii();
        return wrong(format!("something else, which begins with \"{beginning}\""), FETCH);
    }
    if type_byte != UNSIGNED_BYTE {
        let values = if type_byte == 0x0c { "32-bit integers" } else { "values of another type" };
        let next = "convert it to unsigned bytes (type byte 0x08), as raw_data/README.md shows";
        return wrong(format!("{values} (type byte {type_byte:#04x})"), next);
    }
    if usize::from(count) != N {
        let next = match (count, N) {
            (1, 3) | (3, 1) => "check whether images and labels were swapped",
            (_, 3) => "reshape it to count × rows × columns, as raw_data/README.md shows",
            _ => "reshape it to one label an image, as raw_data/README.md shows",
        };
        return wrong(an_idx_file(count.into()), next);
    }
    let Some(sizes) = sizes.as_chunks().0.first_chunk() else { return cut() };
    let dims: [usize; N] = sizes.map(|size| u32::from_be_bytes(size) as usize);
    // A limit that keeps the arithmetic with sizes above from overflowing.
    let values = dims.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    match values.filter(|&values| values < usize::MAX / 4) {
        Some(_) => Ok(dims),
        None => wrong(format!("a header that promises {} values", times(&dims)), FETCH),
    }
}

fn times(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}

fn an_idx_file(dimensions: usize) -> String {
    match dimensions {
        1 => "an IDX file of labels (1 dimension)".into(),
        3 => "an IDX file of images (3 dimensions)".into(),
        n => format!("an IDX file of {n} dimensions"),
    }
}
