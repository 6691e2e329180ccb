//! The weights file, in the safetensors format (github.com/huggingface/safetensors): the header's
//! length as a little-endian `u64`, the header as JSON, then all numbers as little-endian `f32`.
//!
//! # Names and orientation
//!
//! They are those of PyTorch's `nn.Sequential(Linear, Sigmoid, Linear, …)`, with the activation
//! that the metadata names in place of `Sigmoid`, so `load_state_dict` takes the tensors as they
//! are: `0.weight` of shape `[fan_out, fan_in]`, `0.bias` of `[fan_out]`, then `2.weight`, `2.bias`
//! and so on; the odd numbers are the activations. PyTorch computes X·Wᵀ + b where [`Linear`]
//! computes X·W + b, so each weight is transposed when it is written and read. `README.md` has our
//! prediction in NumPy.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use crate::config::MOST_NUMBERS;
use crate::error::{Error, Result};
use crate::math::kernels::Cpu;
use crate::math::matrix::{Matrix, transpose};
use crate::network::Network;
use crate::network::activation::Activation;
use crate::network::layer::Linear;
use crate::output::json::{Reader, excerpt, quote};

/// The longest header that is read: the limit of the safetensors library.
const LONGEST_HEADER: u64 = 100_000_000;
/// The most bytes of numbers that are read: those of the largest network that can be trained.
const MOST_BYTES: usize = 4 * MOST_NUMBERS;

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
    /// All that the file says of it, by name.
    pub metadata: BTreeMap<String, String>,
}

/// The bytes of a weights file. `image_size` is the pixel rows and columns of the network's images;
/// it goes into `__metadata__` with the network's activation and all of `metadata` that has another
/// name.
pub fn encode(
    network: &Network,
    image_size: (usize, usize),
    metadata: &[(String, String)],
) -> Vec<u8> {
    let (rows, columns) = image_size;
    let activation = network.activation;
    let mut header = format!(
        r#"{{"{METADATA}":{{"rows":"{rows}","columns":"{columns}","activation":"{activation:?}""#
    );
    for (name, text) in
        metadata.iter().filter(|(name, _)| !["rows", "columns", "activation"].contains(&&name[..]))
    {
        header += &format!(",{}:{}", quote(name), quote(text));
    }
    header.push('}');
    let mut numbers: Vec<u8> = Vec::new();
    let mut add = |name: String, shape: &[usize], values: &[f32]| {
        let start = numbers.len();
        numbers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let end = numbers.len();
        header += &format!(
            r#","{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        );
    };
    let mut transposed = Matrix::default();
    for (l, Linear { weight, bias }) in network.layers.iter().enumerate() {
        transpose(network.cpu, weight, &mut transposed);
        add(format!("{}.weight", 2 * l), &[weight.columns(), weight.rows()], &transposed.to_vec());
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
pub fn read(path: &Path, cpu: Cpu, activation: Option<Activation>) -> Result<Model> {
    if path.is_dir() {
        return Err(Error::new(
            path.display(),
            "a folder",
            "a weights file",
            "name the file itself",
        ));
    }
    decode(path, File::open(path).map_err(|error| Error::reading(path, &error))?, cpu, activation)
}

/// Reads a weights file, said to be at `path`, from `input`. Memory follows what `input` holds, not
/// what it promises: at most some twenty times as much, where a layer has a single unit and so a
/// line of memory for each weight.
///
/// # Errors
/// Whatever is not a sound safetensors file with the layers described above, each with at least one
/// finite number, the last with 2 to 256 classes. Metadata may be missing, but `rows`, `columns`
/// and `activation` must be right where they are there. With hidden layers, the file or the
/// argument must name the activation, and both the same.
pub fn decode(
    path: &Path,
    mut input: impl Read,
    cpu: Cpu,
    activation: Option<Activation>,
) -> Result<Model> {
    let header = read_header(path, &mut input)?;
    let (metadata, tensors) = parse_header(path, &header)?;
    let numbers = read_numbers(path, &mut input, &tensors)?;
    let layers = layers(path, tensors, &numbers, cpu)?;
    let image_size = image_size(path, &metadata, layers[0].weight.rows())?;
    let activation = match self::activation(path, &metadata, activation)? {
        None if layers.len() > 1 => {
            let found = format!("no activation in {METADATA}");
            let next = "say which it is with --activation";
            return Err(Error::new(
                path.display(),
                found,
                format!("one of {}", activations()),
                next,
            ));
        }
        activation => activation.unwrap_or(Activation::Sigmoid), // of no hidden layer
    };
    Ok(Model { network: Network { layers, activation, cpu }, image_size, metadata })
}

/// What the header says of each tensor: its shape, and where its bytes are, counted from the
/// header's end.
type Tensors = BTreeMap<String, (Vec<usize>, Range<usize>)>;
type Metadata = BTreeMap<String, String>;

/// An error about the file at `path` unless the condition holds.
fn ensure(
    path: &Path,
    condition: bool,
    found: String,
    expected: impl Into<String>,
    next: &str,
) -> Result<()> {
    if condition { Ok(()) } else { Err(Error::new(path.display(), found, expected, next)) }
}

/// Up to `limit` bytes of `input`, fewer only where it ends.
fn read_bytes(path: &Path, input: &mut impl Read, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input
        .take(limit as u64)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::reading(path, &error))?;
    Ok(bytes)
}

fn read_header(path: &Path, input: &mut impl Read) -> Result<String> {
    let start = read_bytes(path, input, 8)?;
    ensure(
        path,
        start.len() == 8,
        format!("only {} bytes", start.len()),
        "a safetensors file",
        RIGHT_FILE,
    )?;
    let length = start.iter().rev().fold(0, |length, &byte| length << 8 | u64::from(byte));
    let expected =
        format!("a safetensors file, whose header is at most {LONGEST_HEADER} bytes long");
    ensure(
        path,
        length <= LONGEST_HEADER,
        format!("a header length of {length} bytes"),
        expected,
        RIGHT_FILE,
    )?;
    let header = read_bytes(path, input, length as usize)?;
    let found = format!("only {} bytes of the header", header.len());
    let expected = format!("all {length} bytes of it");
    ensure(path, header.len() as u64 == length, found, expected, WRITE_AGAIN)?;
    let not_text =
        |_| Error::new(path.display(), "a header that is not UTF-8", "JSON in UTF-8", RIGHT_FILE);
    String::from_utf8(header).map_err(not_text)
}

/// The metadata, and the tensors by name, each as long as its shape says.
fn parse_header(path: &Path, header: &str) -> Result<(Metadata, Tensors)> {
    let mut metadata = Metadata::new();
    let mut tensors = Tensors::new();
    let mut reader = Reader::new(path, header);
    reader.object(|reader, name| {
        if name == METADATA {
            return reader.object(|reader, name| {
                metadata.insert(name, reader.string()?);
                Ok(())
            });
        }
        let mut dtype = String::new();
        let mut shape = Vec::new();
        let mut offsets = Vec::new();
        reader.object(|reader, member| {
            match &member[..] {
                "dtype" => dtype = reader.string()?,
                "shape" => shape = reader.whole_numbers()?,
                "data_offsets" => offsets = reader.whole_numbers()?,
                _ => return reader.error("no members but dtype, shape and data_offsets"),
            }
            Ok(())
        })?;
        let found = format!("dtype {} of tensor {}", excerpt(&dtype), excerpt(&name));
        let next = "convert the weights to 32-bit floats before they are saved";
        ensure(path, dtype == "F32", found, "dtype \"F32\"", next)?;
        let size = shape.iter().try_fold(4_usize, |bytes, &size| bytes.checked_mul(size));
        let fits =
            matches!(offsets[..], [start, end] if size.is_some() && size == end.checked_sub(start));
        let found = format!("data_offsets {} of tensor {}", excerpt(&offsets), excerpt(&name));
        ensure(
            path,
            fits,
            found,
            "a start and an end, with 4 bytes for each number of its shape",
            WRITE_AGAIN,
        )?;
        tensors.insert(name, (shape, offsets[0]..offsets[1]));
        Ok(())
    })?;
    reader.end()?;
    Ok((metadata, tensors))
}

/// The bytes of all `tensors`, which must lie one behind the other and be all that is left of
/// `input`.
fn read_numbers(path: &Path, input: &mut impl Read, tensors: &Tensors) -> Result<Vec<u8>> {
    let mut in_order: Vec<_> =
        tensors.iter().map(|(name, (_, bytes))| (bytes.start, bytes.end, name)).collect();
    in_order.sort();
    let mut size = 0;
    for (start, end, name) in in_order {
        let problem =
            if start < size { "overlaps the tensor before it" } else { "leaves a hole before it" };
        let found =
            format!("tensor {} at byte {start} of the numbers, which {problem}", excerpt(name));
        ensure(path, start == size, found, format!("byte {size}"), WRITE_AGAIN)?;
        size = end;
    }
    let expected = format!("at most {MOST_BYTES} bytes");
    ensure(
        path,
        size <= MOST_BYTES,
        format!("{size} bytes of numbers"),
        expected,
        "use a smaller network",
    )?;
    let numbers = read_bytes(path, input, size + 1)?;
    let length = numbers.len();
    let found =
        format!("{} {length} bytes of numbers", if length < size { "only" } else { "at least" });
    ensure(
        path,
        length == size,
        found,
        format!("{size} bytes, where the last tensor ends"),
        WRITE_AGAIN,
    )?;
    Ok(numbers)
}

/// Takes the tensor of that `name` out of `tensors`: its shape, and its values, which must be
/// finite.
fn take(
    path: &Path,
    tensors: &mut Tensors,
    numbers: &[u8],
    name: String,
) -> Result<(Vec<usize>, Vec<f32>)> {
    let Some((shape, bytes)) = tensors.remove(&name) else {
        let found = format!("no tensor {name:?}, but {}", excerpt(tensors.keys()));
        let expected = "0.weight, 0.bias, 2.weight, 2.bias and so on, the layers of a \
                        nn.Sequential(Linear, Sigmoid, Linear, …), and nothing else";
        return Err(Error::new(path.display(), found, expected, RIGHT_FILE));
    };
    let values = numbers[bytes].as_chunks().0.iter();
    let values: Vec<f32> = values.map(|&value| f32::from_le_bytes(value)).collect();
    let strange = values.iter().find(|value| !value.is_finite()).unwrap_or(&0.0);
    let found = format!("a weight of {strange} in tensor {name:?}");
    let next = "train again, with a lower learning_rate";
    ensure(path, strange.is_finite(), found, "finite numbers", next)?;
    Ok((shape, values))
}

/// The layers, whose weights and biases must be all there is and fit together.
fn layers(path: &Path, mut tensors: Tensors, numbers: &[u8], cpu: Cpu) -> Result<Vec<Linear>> {
    let mut layers: Vec<Linear> = Vec::new();
    while layers.is_empty() || !tensors.is_empty() {
        let l = 2 * layers.len();
        let mut take = |kind| take(path, &mut tensors, numbers, format!("{l}.{kind}"));
        let (shape, weights) = take("weight")?;
        let (bias_shape, bias) = take("bias")?;
        let before = layers.last().map(|before| before.bias.len());
        let fits = match shape[..] {
            [fan_out, fan_in] => {
                fan_out * fan_in > 0
                    && bias_shape == [fan_out]
                    && before.unwrap_or(fan_in) == fan_in
            }
            _ => false,
        };
        let found = format!(
            "shapes {} and {} of {l}.weight and {l}.bias",
            excerpt(&shape),
            excerpt(&bias_shape)
        );
        let fan_in = before.map_or("fan_in".into(), |units| units.to_string());
        ensure(
            path,
            fits,
            found,
            format!("[fan_out, {fan_in}] and [fan_out], each at least 1"),
            RIGHT_FILE,
        )?;
        let mut weight = Matrix::default();
        transpose(cpu, &Matrix::from_rows(shape[0], shape[1], &weights), &mut weight);
        layers.push(Linear { weight, bias });
    }
    let classes = layers[layers.len() - 1].bias.len();
    let found = format!("{classes} units in the last layer");
    ensure(
        path,
        (2..=256).contains(&classes),
        found,
        "2 to 256 classes, since a label is one byte",
        RIGHT_FILE,
    )?;
    Ok(layers)
}

/// The names of all activations.
fn activations() -> String {
    Activation::ALL.map(|activation| format!("{activation:?}")).join(", ")
}

/// The activation of that name.
///
/// # Errors
/// If there is none: that this was `found` in that `place`.
pub fn find_activation(name: &str, place: impl Display, found: String) -> Result<Activation> {
    let activation =
        Activation::ALL.into_iter().find(|activation| format!("{activation:?}") == name);
    let next = "write it as it is written here";
    activation.ok_or_else(|| Error::new(place, found, format!("one of {}", activations()), next))
}

/// The activation that the metadata names, or else the one `asked` for.
fn activation(
    path: &Path,
    metadata: &Metadata,
    asked: Option<Activation>,
) -> Result<Option<Activation>> {
    let Some(name) = metadata.get("activation") else { return Ok(asked) };
    let found = format!("activation {} in {METADATA}", excerpt(name));
    let named = find_activation(name, path.display(), found)?;
    match asked {
        Some(asked) if asked != named => {
            let found = format!("activation {named:?} in {METADATA}");
            let expected = format!("{asked:?}, as asked for");
            Err(Error::new(
                path.display(),
                found,
                expected,
                "ask for the activation that the file names",
            ))
        }
        _ => Ok(Some(named)),
    }
}

/// The pixel rows and columns that the metadata tells, for images of `size` pixels.
fn image_size(path: &Path, metadata: &Metadata, size: usize) -> Result<Option<(usize, usize)>> {
    let [rows, columns] =
        ["rows", "columns"].map(|name| metadata.get(name).map_or("", String::as_str));
    if [rows, columns] == ["", ""] {
        return Ok(None);
    }
    let image_size = rows.parse::<usize>().ok().zip(columns.parse::<usize>().ok());
    let fits = image_size.is_some_and(|(rows, columns)| rows.checked_mul(columns) == Some(size));
    let found =
        format!("images of {} rows and {} columns in {METADATA}", excerpt(rows), excerpt(columns));
    ensure(
        path,
        fits,
        found,
        format!("{size} pixels, as many as the first layer has inputs"),
        WRITE_AGAIN,
    )?;
    Ok(image_size)
}
