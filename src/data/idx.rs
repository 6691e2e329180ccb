//! IDX, the format of MNIST's files: two zero bytes, a type byte, the number of dimensions, each dimension's size as a
//! big-endian `u32`, then the values, the last dimension varying fastest (Yann LeCun's page on MNIST).

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::data::gzip::{MAGIC, gunzip};
use crate::error::{Error, Result};

/// The type byte of unsigned bytes, the only type that MNIST and its relatives use.
const UNSIGNED_BYTE: u8 = 0x08;

/// How much is read before the header is checked: more than the longest block of a gzip file that is not compressed.
const START: u64 = 1 << 18;

const FETCH: &str = "fetch the file again";

/// `folder/name`, or `folder/name.gz` where that does not exist.
///
/// # Errors
/// If neither is there, or the folder itself is missing.
pub fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let no_folder = |found| {
        let next = "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                    t10k-labels-idx1-ubyte there, each plain or as .gz (a fresh clone has them in raw_data)";
        Err(Error::new(folder.display(), found, "the folder with the data files", next))
    };
    match fs::metadata(folder) {
        Ok(about) if about.is_dir() => {}
        Ok(_) => return no_folder("a file"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return no_folder("no such folder"),
        Err(error) => return Err(Error::reading(folder, &error)),
    }
    let paths = [name.to_string(), format!("{name}.gz")].map(|name| folder.join(name));
    // Where one can't tell whether the file is there, trying to read it says why.
    if let Some(path) = paths.iter().find(|path| !matches!(path.try_exists(), Ok(false))) {
        return Ok(path.clone());
    }
    let next = "put the file there, or check the folder's name";
    Err(Error::new(paths[0].display(), "neither this file nor one with .gz after its name", "one of the two", next))
}

/// Reads one IDX file of unsigned bytes, plain or gzipped as its first bytes tell: the size of each of its `N` dimensions
/// (3 for images, 1 for labels), and the values in row-major order, as many as the product of these. Memory follows the
/// file's size and what its header promises, whichever is smaller.
///
/// # Errors
/// If it can't be read, is something else, or is shorter or longer than its own header promises.
pub fn read_file<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>)> {
    let failed = |error| Error::reading(path, &error);
    let corrupt = |problem| Error::new(path.display(), format!("a gzip file that {problem}"), "a sound one", FETCH);
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
    let start = if gzipped { &gunzip(&bytes, header_size).map_err(corrupt)? } else { &bytes };
    let dims: [usize; N] = parse_header(path, start)?;
    let size = header_size + dims.iter().product::<usize>();
    let check_size = |found: u64| {
        let unit = if gzipped { "bytes once unpacked" } else { "bytes" };
        let expected = format!("{size} {unit}, {header_size} of header and {} of values", times(&dims));
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

    // A gzip file is hardly longer than its content: one that is twice as long need not be read to its end.
    let left = 2 * size as u64 + START - bytes.len() as u64;
    bytes.try_reserve_exact(about.len().min(left) as usize).map_err(|error| failed(error.into()))?;
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
    let Some((&[zero_0, zero_1, type_byte, count], sizes)) = start.split_first_chunk() else { return cut() };
    if [zero_0, zero_1] != [0, 0] {
        let beginning = start[..4].escape_ascii();
        return wrong(format!("something else, which begins with \"{beginning}\""), FETCH);
    }
    if type_byte != UNSIGNED_BYTE {
        let next = "use a file of unsigned bytes (type byte 0x08)";
        return wrong(format!("values of another type (type byte {type_byte:#04x})"), next);
    }
    if usize::from(count) != N {
        return wrong(an_idx_file(count.into()), "check whether images and labels were swapped");
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
