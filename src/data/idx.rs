//! IDX, the format of MNIST's files: two zero bytes, a type byte, the number of dimensions, each dimension's size as a
//! big-endian `u32`, then the values, the last dimension varying fastest (Yann LeCun's page on MNIST).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::data::gzip::{self, Flaw};
use crate::error::{Error, Result};

/// The type byte of unsigned bytes, the only type that MNIST and its relatives use.
const UNSIGNED_BYTE: u8 = 0x08;

/// How much of a file is read before its header has been looked at.
const START: u64 = 1 << 17;

const FETCH: &str = "fetch the file again";

/// What an IDX file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// The size of each dimension: `[images, rows, columns]`, or `[labels]`.
    pub dims: Vec<usize>,
    /// The values in row-major order, exactly as many as the product of `dims`.
    pub data: Vec<u8>,
}

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
    let plain = folder.join(name);
    for path in [plain.clone(), folder.join(format!("{name}.gz"))] {
        // Where one can't tell whether the file is there, trying to read it says why.
        if !matches!(path.try_exists(), Ok(false)) {
            return Ok(path);
        }
    }
    let next = "put the file there, or check the folder's name";
    Err(Error::new(plain.display(), "neither this file nor one with .gz after its name", "one of the two", next))
}

/// Reads one IDX file of unsigned bytes with `dimensions` dimensions (3 for images, 1 for labels), plain or gzipped as
/// its first bytes tell.
///
/// An error if it can't be read, is something else, or is shorter or longer than its own header promises. Needs no more
/// memory than the file and its values take.
pub fn read_file(path: &Path, dimensions: usize) -> Result<Idx> {
    let failed = |error| Error::reading(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(Error::new(path.display(), "a folder", "an IDX file", "name the file itself"));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(START).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Err(Error::new(path.display(), "an empty file", an_idx_file(dimensions), FETCH));
    }

    let gzipped = bytes.starts_with(&gzip::MAGIC);
    let corrupt = |flaw: Flaw| Error::new(path.display(), format!("a gzip file that {flaw}"), "a sound one", FETCH);
    let header = if gzipped {
        Header::parse(path, &gzip::gunzip_start(&bytes, header_size(dimensions)).map_err(corrupt)?, dimensions)?
    } else {
        Header::parse(path, &bytes, dimensions)?
    };
    let promised = header.file_size as u64;
    let unit = if gzipped { "bytes once unpacked" } else { "bytes" };
    let wrong_size = |found| header.wrong_size(path, found, unit);
    if !gzipped && about.is_file() && about.len() != promised {
        return Err(wrong_size(about.len()));
    }

    // A sound gzip file is hardly longer than its content, so what is twice as long need not be read to its end; a plain
    // one is read up to one byte after its end, to see that there is none.
    let most = if gzipped { promised.saturating_mul(2).saturating_add(START) } else { promised.saturating_add(1) };
    let left = most.saturating_sub(bytes.len() as u64);
    bytes.try_reserve_exact(about.len().min(left) as usize).map_err(|error| failed(error.into()))?;
    file.take(left).read_to_end(&mut bytes).map_err(failed)?;
    if gzipped {
        bytes = gzip::gunzip(&bytes, header.file_size).map_err(|flaw| match flaw {
            Flaw::TooLong => wrong_size(promised.saturating_add(1)),
            Flaw::Corrupt(_) => corrupt(flaw),
        })?;
    }
    if bytes.len() != header.file_size {
        return Err(wrong_size(bytes.len() as u64));
    }
    bytes.drain(..header_size(dimensions));
    Ok(Idx { dims: header.dims, data: bytes })
}

struct Header {
    dims: Vec<usize>,
    /// The bytes of the whole file, header and values, uncompressed.
    file_size: usize,
}

impl Header {
    /// The header of the file at `path`, whose first bytes are `start`.
    fn parse(path: &Path, start: &[u8], dimensions: usize) -> Result<Header> {
        let wrong = |found: String, next| Err(Error::new(path.display(), found, an_idx_file(dimensions), next));
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
        if usize::from(count) != dimensions {
            return wrong(an_idx_file(count.into()), "check whether images and labels were swapped");
        }
        let (sizes, _) = sizes.as_chunks();
        let Some(sizes) = sizes.get(..dimensions) else { return cut() };
        let dims: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
        let values = dims.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        match values.and_then(|values| values.checked_add(header_size(dimensions))) {
            Some(file_size) => Ok(Header { dims, file_size }),
            None => wrong(format!("a header that promises {} values", times(&dims)), FETCH),
        }
    }

    /// The file is `found` bytes long, or longer, instead of what its header promises.
    fn wrong_size(&self, path: &Path, found: u64, unit: &str) -> Error {
        let (header, dims) = (header_size(self.dims.len()), times(&self.dims));
        let expected = format!("{} {unit}, {header} of header and {dims} of values", self.file_size);
        if found < self.file_size as u64 {
            Error::new(path.display(), format!("only {found} {unit}"), expected, format!("{FETCH}, it was cut short"))
        } else {
            let next = format!("{FETCH}, something was added to it");
            Error::new(path.display(), format!("at least {found} {unit}"), expected, next)
        }
    }
}

/// The bytes of an IDX header.
fn header_size(dimensions: usize) -> usize {
    4 + 4 * dimensions
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
