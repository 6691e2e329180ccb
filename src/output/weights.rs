//! The weights file, in the safetensors format (github.com/huggingface/safetensors): the header's length as a
//! little-endian `u64`, the header as JSON, then all numbers as little-endian `f32`.
//!
//! # Names and orientation
//!
//! They are those of PyTorch's `nn.Sequential(Linear, Sigmoid, Linear, …)`, so `load_state_dict` takes the tensors as they
//! are: `0.weight` of shape `[fan_out, fan_in]`, `0.bias` of `[fan_out]`, then `2.weight`, `2.bias` and so on; the odd
//! numbers are the sigmoids. PyTorch computes X·Wᵀ + b where [`Linear`] computes X·W + b, so each weight is transposed on
//! its way out and in. With one image's pixels (0 to 255) a row, this is our prediction in NumPy:
//!
//! ```python
//! x, last = (pixels - 127.5) / 255, len(tensors) // 2 - 1
//! for l in range(last + 1):
//!     x = x @ tensors[f"{2 * l}.weight"].T + tensors[f"{2 * l}.bias"]
//!     if l < last: x = 1 / (1 + np.exp(-x))
//! prediction = x.argmax(1)
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::math::kernel::Kernel;
use crate::math::matrix::{Matrix, transpose};
use crate::network::Network;
use crate::network::layer::Linear;
use crate::output::json::{self, Value, quote};

/// The longest header that is read, room for some two thousand layers.
const LONGEST_HEADER: u64 = 1 << 18;
/// The most bytes of numbers that are read, two thousand times the coursework's network.
const MOST_BYTES: usize = 1 << 30;

const METADATA: &str = "__metadata__";
const RIGHT_FILE: &str = "use a model.safetensors as make run writes it";
const WRITE_AGAIN: &str = "write or fetch the file again";

/// A network from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The network.
    pub network: Network,
    /// The pixel rows and columns of its images, where the file tells.
    pub image_size: Option<(usize, usize)>,
}

/// The bytes of a weights file. `image_size` is the pixel rows and columns of the network's images; with `metadata`, which
/// must have neither of these names, it goes into `__metadata__`.
pub fn encode(network: &Network, image_size: (usize, usize), metadata: &[(String, String)]) -> Vec<u8> {
    let mut header = format!("{{\"{METADATA}\":{{\"rows\":\"{}\",\"columns\":\"{}\"", image_size.0, image_size.1);
    // Writing to a string does not fail.
    for (name, text) in metadata {
        let _ = write!(header, ",{}:{}", quote(name), quote(text));
    }
    header.push('}');
    let mut numbers: Vec<u8> = Vec::new();
    let mut add = |name: String, shape: &[usize], values: &[f32]| {
        let start = numbers.len();
        numbers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let end = numbers.len();
        let _ =
            write!(header, r#",{}:{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#, quote(&name));
    };
    let mut transposed = Matrix::default();
    for (l, Linear { weight, bias }) in network.layers.iter().enumerate() {
        transpose(weight, &mut transposed);
        add(format!("{}.weight", 2 * l), &[weight.columns(), weight.rows()], transposed.data());
        add(format!("{}.bias", 2 * l), &[bias.len()], bias);
    }
    header.push('}');
    // Spaces, so that the numbers begin at a multiple of eight bytes.
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &numbers].concat()
}

/// Reads the weights file at `path`, ours or one that PyTorch's safetensors wrote of such a stack.
///
/// # Errors
/// As [`decode`], and what the disk says.
pub fn read(path: &Path, kernel: Kernel) -> Result<Model> {
    if path.is_dir() {
        return Err(Error::new(path.display(), "a folder", "a weights file", "name the file itself"));
    }
    decode(path, File::open(path).map_err(|error| Error::reading(path, &error))?, kernel)
}

/// Reads a weights file, said to be at `path`, from `input`. Memory follows what `input` holds, not what it promises, up
/// to twice 1 GiB.
///
/// # Errors
/// Whatever is not a sound safetensors file with the layers described above, each with at least one finite number, the last
/// with 2 to 256 classes. The metadata may be missing, but `rows` and `columns` must be right where they are there.
pub fn decode(path: &Path, mut input: impl Read, kernel: Kernel) -> Result<Model> {
    let header = read_header(path, &mut input)?;
    let (metadata, mut tensors) = parse_header(path, &header)?;
    let mut layers = take_layers(path, &mut tensors)?;
    check_shapes(path, &layers)?;
    let image_size = image_size(path, &metadata, layers[0][0].shape[1])?;
    read_numbers(path, &mut input, layers.iter_mut().flatten().collect())?;
    let layers = layers.into_iter().map(|[weight, bias]| {
        let mut transposed = Matrix::default();
        transpose(&Matrix::from_rows(weight.shape[0], weight.shape[1], &weight.numbers), &mut transposed);
        Linear { weight: transposed, bias: bias.numbers }
    });
    Ok(Model { network: Network { layers: layers.collect(), kernel }, image_size })
}

/// A tensor: first as the header describes it, then with its numbers.
struct Tensor {
    name: String,
    shape: Vec<usize>,
    /// The first of its bytes and the one after its last, counted from the header's end.
    start: usize,
    end: usize,
    numbers: Vec<f32>,
}

fn wrong<T>(path: &Path, found: impl Into<String>, expected: impl Into<String>, next: &str) -> Result<T> {
    Err(Error::new(path.display(), found, expected, next))
}

/// Some text out of a file, as a message can show it.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    format!("{start:?}{}", if start.len() < text.len() { " …" } else { "" })
}

/// Up to `limit` bytes of `input`, fewer only where it ends.
fn read_bytes(path: &Path, input: &mut impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit).read_to_end(&mut bytes).map_err(|error| Error::reading(path, &error))?;
    Ok(bytes)
}

fn read_header(path: &Path, input: &mut impl Read) -> Result<String> {
    let start = read_bytes(path, input, 8)?;
    let Some(&length) = start.first_chunk() else {
        return wrong(path, format!("only {} bytes", start.len()), "a safetensors file", RIGHT_FILE);
    };
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        let expected = format!("a safetensors file, whose header is at most {LONGEST_HEADER} bytes long");
        return wrong(path, format!("a header length of {length} bytes"), expected, RIGHT_FILE);
    }
    let header = read_bytes(path, input, length)?;
    if (header.len() as u64) < length {
        let found = format!("the file's end after {} bytes of the header", header.len());
        return wrong(path, found, format!("a header of {length} bytes, as the file's start says"), WRITE_AGAIN);
    }
    String::from_utf8(header).or_else(|_| wrong(path, "a header that is not UTF-8", "JSON in UTF-8", RIGHT_FILE))
}

type Metadata = BTreeMap<String, String>;

fn parse_header(path: &Path, header: &str) -> Result<(Metadata, BTreeMap<String, Tensor>)> {
    let value = match json::parse(header) {
        Ok(value) => value,
        Err(flaw) => return wrong(path, format!("a header of JSON that {flaw}"), "sound JSON", RIGHT_FILE),
    };
    let Value::Object(mut members) = value else {
        return wrong(path, "a header that is no JSON object", "an object with the tensors' names", RIGHT_FILE);
    };
    let metadata = match members.remove(METADATA) {
        None => Some(Metadata::new()),
        Some(Value::Object(metadata)) => {
            let text = |(name, value)| if let Value::Text(text) = value { Some((name, text)) } else { None };
            metadata.into_iter().map(text).collect()
        }
        Some(_) => None,
    };
    let Some(metadata) = metadata else {
        return wrong(path, format!("another value in {METADATA}"), "an object of strings", RIGHT_FILE);
    };
    let tensors = members.into_iter().map(|(name, value)| Ok((name.clone(), tensor(path, name, &value)?)));
    Ok((metadata, tensors.collect::<Result<_>>()?))
}

fn tensor(path: &Path, name: String, value: &Value) -> Result<Tensor> {
    let place = shown(&name);
    let member = |name: &str| if let Value::Object(members) = value { members.get(name) } else { None };
    let sizes = |name: &str| {
        let Some(Value::Array(values)) = member(name) else { return None };
        let size = |value: &Value| if let Value::Number(text) = value { text.parse().ok() } else { None };
        values.iter().map(size).collect::<Option<Vec<usize>>>()
    };
    let (Some(Value::Text(dtype)), Some(shape), Some(offsets)) =
        (member("dtype"), sizes("shape"), sizes("data_offsets"))
    else {
        let expected = "a dtype, and a shape and data_offsets of whole numbers";
        return wrong(path, format!("something else for tensor {place}"), expected, RIGHT_FILE);
    };
    if dtype != "F32" {
        let next = "convert the weights to 32-bit floats before they are saved";
        return wrong(path, format!("numbers of dtype {} in tensor {place}", shown(dtype)), "dtype \"F32\"", next);
    }
    // The format has them in order and just as long as the shape says.
    let bytes = shape.iter().try_fold(4_usize, |bytes, &size| bytes.checked_mul(size));
    let [start, end] = offsets[..] else {
        return wrong(path, format!("{} data_offsets of tensor {place}", offsets.len()), "two of them", RIGHT_FILE);
    };
    if bytes.is_none() || bytes != end.checked_sub(start) {
        let found = format!("data_offsets {start} and {end} for tensor {place}");
        return wrong(path, found, "4 bytes for each number of its shape", WRITE_AGAIN);
    }
    if end > MOST_BYTES {
        let found = format!("tensor {place} reaching to byte {end} of the numbers");
        return wrong(path, found, format!("at most {MOST_BYTES} bytes"), "use a smaller network");
    }
    Ok(Tensor { name, shape, start, end, numbers: Vec::new() })
}

/// The weight and the bias of each layer, in order, which must be all there is.
fn take_layers(path: &Path, tensors: &mut BTreeMap<String, Tensor>) -> Result<Vec<[Tensor; 2]>> {
    let mut layers = Vec::new();
    loop {
        let [weight, bias] = ["weight", "bias"].map(|kind| format!("{}.{kind}", 2 * layers.len()));
        let expected = "0.weight, 0.bias, 2.weight, 2.bias and so on, the layers of a \
                        nn.Sequential(Linear, Sigmoid, Linear, …), and nothing else";
        match (tensors.remove(&weight), tensors.remove(&bias), tensors.keys().next()) {
            (Some(weight), Some(bias), _) => layers.push([weight, bias]),
            (None, None, None) if !layers.is_empty() => return Ok(layers),
            (None, None, Some(other)) => {
                let found = format!("tensor {}, but no tensor {weight:?}", shown(other));
                return wrong(path, found, expected, RIGHT_FILE);
            }
            (None, ..) => return wrong(path, format!("no tensor {weight:?}"), expected, RIGHT_FILE),
            (_, None, _) => return wrong(path, format!("no tensor {bias:?}"), expected, RIGHT_FILE),
        }
    }
}

fn check_shapes(path: &Path, layers: &[[Tensor; 2]]) -> Result<()> {
    let mut fan_in = None;
    for [weight, bias] in layers {
        let fits = |tensor: &Tensor, expected: &str, fits: bool| {
            let found = || format!("shape {} of tensor {:?}", shown(&format!("{:?}", tensor.shape)), tensor.name);
            if fits { Ok(()) } else { wrong(path, found(), expected, RIGHT_FILE) }
        };
        let [outputs, inputs] = weight.shape[..] else { return fits(weight, "[fan_out, fan_in]", false) };
        fits(weight, "at least 1 unit and 1 input", outputs > 0 && inputs > 0)?;
        fits(
            weight,
            &format!("{} inputs, the units of the layer before", fan_in.unwrap_or(inputs)),
            fan_in.is_none_or(|n| n == inputs),
        )?;
        fits(bias, &format!("[{outputs}], one number for each unit of {:?}", weight.name), bias.shape == [outputs])?;
        fan_in = Some(outputs);
    }
    match fan_in {
        Some(2..=256) => Ok(()),
        classes => {
            let found = format!("{} units in the last layer", classes.unwrap_or(0));
            wrong(path, found, "2 to 256 classes, since a label is one byte", RIGHT_FILE)
        }
    }
}

/// The pixel rows and columns that the metadata tells, for images of `size` pixels.
fn image_size(path: &Path, metadata: &Metadata, size: usize) -> Result<Option<(usize, usize)>> {
    let (rows, columns) = match (metadata.get("rows"), metadata.get("columns")) {
        (None, None) => return Ok(None),
        (rows, columns) => (rows.map_or("", String::as_str), columns.map_or("", String::as_str)),
    };
    match (rows.parse::<usize>(), columns.parse::<usize>()) {
        (Ok(rows), Ok(columns)) if rows.checked_mul(columns) == Some(size) => Ok(Some((rows, columns))),
        _ => {
            let found = format!("images of {} rows and {} columns in {METADATA}", shown(rows), shown(columns));
            wrong(path, found, format!("{size} pixels, as many as the first layer has inputs"), WRITE_AGAIN)
        }
    }
}

/// Reads the numbers of all `tensors`, which must lie one behind the other and be all that is left of `input`.
fn read_numbers(path: &Path, input: &mut impl Read, mut tensors: Vec<&mut Tensor>) -> Result<()> {
    tensors.sort_by_key(|tensor| tensor.start);
    let mut position = 0;
    for Tensor { name, start, end, numbers, .. } in tensors {
        if *start != position {
            let problem = if *start < position { "overlaps the tensor before it" } else { "leaves a hole before it" };
            let found = format!("tensor {name:?} at byte {start} of the numbers, which {problem}");
            return wrong(path, found, format!("byte {position}"), WRITE_AGAIN);
        }
        let bytes = read_bytes(path, input, (*end - *start) as u64)?;
        position += bytes.len();
        if position < *end {
            let found = format!("the file's end within tensor {name:?}, after {position} bytes of numbers");
            return wrong(path, found, format!("{end} bytes"), "write or fetch the file again, it was cut short");
        }
        numbers.extend(bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)));
        if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
            let found = format!("a weight of {number} in tensor {name:?}");
            return wrong(path, found, "finite numbers", "train again, with a lower learning_rate");
        }
    }
    if !read_bytes(path, input, 1)?.is_empty() {
        let found = format!("more than {position} bytes of numbers");
        return wrong(path, found, "the end of the file where the last tensor ends", WRITE_AGAIN);
    }
    Ok(())
}
