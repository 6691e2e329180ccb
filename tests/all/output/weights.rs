//! The weights file and the JSON in it: sound, cut, altered and hostile.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::common::Folder;
use mnist_mlp::math::kernel::Kernel;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::math::rng::{Purpose, Rng};
use mnist_mlp::network::Network;
use mnist_mlp::network::layer::{Initialisation, Linear};
use mnist_mlp::output::json::{self, Value, quote};
use mnist_mlp::output::weights::{Model, decode, encode, read};
use proptest::prelude::*;

// ---- Tools -------------------------------------------------------------------------------------------------------

const METADATA: &str = "__metadata__";

fn network(widths: &[usize], seed: u64) -> Network {
    Network::new(widths, Initialisation::Xavier, &mut Rng::new(seed, Purpose::Initialisation), Kernel::best())
}

/// Decodes bytes as a file called "m".
fn model(bytes: &[u8]) -> Result<Model, String> {
    decode(Path::new("m"), bytes, Kernel::best()).map_err(|error| error.to_string())
}

/// A file of this header, which is not checked, and these numbers.
fn file(header: &[u8], numbers: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, numbers].concat()
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

fn bits(network: &Network) -> Vec<Vec<u32>> {
    let numbers = network.layers.iter().flat_map(|layer| [layer.weight.data(), &layer.bias[..]]);
    numbers.map(|numbers| numbers.iter().map(|number| number.to_bits()).collect()).collect()
}

/// The header of a sound network 2 → 3 → 2 in PyTorch's order of tensors, without metadata; its numbers take 17 × 4 bytes.
const HEADER: &str = r#"{
    "0.bias":   {"dtype":"F32", "shape":[3],   "data_offsets":[0,12]},
    "0.weight": {"dtype":"F32", "shape":[3,2], "data_offsets":[12,36]},
    "2.bias":   {"dtype":"F32", "shape":[2],   "data_offsets":[36,44]},
    "2.weight": {"dtype":"F32", "shape":[2,3], "data_offsets":[44,68]}
}"#;

/// [`HEADER`] with one text in place of another.
fn altered(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(HEADER.matches(from).count(), 1, "{from}");
    file(HEADER.replace(from, to).as_bytes(), &floats(17))
}

/// That the message names the file and has all these words.
#[track_caller]
fn refused(bytes: &[u8], words: &[&str]) {
    let message = model(bytes).expect_err("this file is not sound");
    assert!(message.starts_with("m: found ") && message.len() < 400, "{message}");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

// ---- Sound files -------------------------------------------------------------------------------------------------

#[test]
fn the_file_has_the_format_s_layout_and_pytorch_s_names_and_orientation() {
    let layer = |fan_in, weight: &[f32], bias: &[f32]| Linear {
        weight: Matrix::from_rows(fan_in, bias.len(), weight),
        bias: bias.to_vec(),
    };
    let layers = vec![
        layer(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[7.0, 8.0, 9.0]),
        layer(3, &[10.0, 11.0, 12.0, 13.0, 14.0, 15.0], &[16.0, 17.0]),
    ];
    let network = Network { layers, kernel: Kernel::best() };
    let bytes = encode(&network, (1, 2), &[("a \"name\"".into(), "0.9786 ± 0.0014".into())]);

    let header = concat!(
        r#"{"__metadata__":{"rows":"1","columns":"2","a \"name\"":"0.9786 ± 0.0014"},"#,
        r#""0.weight":{"dtype":"F32","shape":[3, 2],"data_offsets":[0,24]},"#,
        r#""0.bias":{"dtype":"F32","shape":[3],"data_offsets":[24,36]},"#,
        r#""2.weight":{"dtype":"F32","shape":[2, 3],"data_offsets":[36,60]},"#,
        r#""2.bias":{"dtype":"F32","shape":[2],"data_offsets":[60,68]}}"#
    );
    let numbers: [f32; 17] = [1., 4., 2., 5., 3., 6., 7., 8., 9., 10., 12., 14., 11., 13., 15., 16., 17.];
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    assert!(length - header.len() < 8);
    let (text, rest) = bytes[8..].split_at(length);
    assert_eq!(std::str::from_utf8(text).unwrap().trim_end_matches(' '), header);
    assert_eq!(rest, numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    assert_eq!(model(&bytes), Ok(Model { network, image_size: Some((1, 2)) }));
}

#[test]
fn a_file_of_pytorch_s_own_is_read_without_our_metadata() {
    for header in [HEADER.to_string(), HEADER.replacen('{', r#"{"__metadata__":{"format":"pt"},"#, 1)] {
        let Model { network, image_size } = model(&file(header.as_bytes(), &floats(17))).unwrap();
        assert_eq!(image_size, None);
        let [first, second] = &network.layers[..] else { panic!("{} layers", network.layers.len()) };
        assert_eq!(first.bias, [0.0, 1.0, 2.0]);
        assert_eq!((first.weight.rows(), first.weight.columns()), (2, 3));
        assert_eq!(first.weight.data(), [3.0, 5.0, 7.0, 4.0, 6.0, 8.0]);
        assert_eq!(second.bias, [9.0, 10.0]);
        assert_eq!((second.weight.rows(), second.weight.columns()), (3, 2));
        assert_eq!(second.weight.data(), [11.0, 14.0, 12.0, 15.0, 13.0, 16.0]);
    }
}

#[test]
fn a_stack_of_more_than_five_layers_keeps_its_order() {
    // In the order of names, "10.weight" comes before "2.weight".
    let network = network(&[4, 3, 5, 2, 6, 4, 3, 2], 1);
    assert_eq!(model(&encode(&network, (2, 2), &[])).unwrap().network, network);
}

proptest! {
    #[test]
    fn any_network_comes_back_bit_by_bit(
        rows in 1_usize..5,
        columns in 1_usize..5,
        hidden in prop::collection::vec(1_usize..9, 0..4),
        classes in 2_usize..9,
        numbers in prop::collection::vec(any::<u32>(), 1..99),
        metadata in prop::collection::btree_map("[a-q ±\"\\\\\n]{1,9}", any::<String>(), 0..5),
    ) {
        let mut network = network(&[&[rows * columns], &hidden[..], &[classes]].concat(), 0);
        let mut numbers = numbers.into_iter().map(f32::from_bits).filter(|number| number.is_finite()).cycle();
        for layer in &mut network.layers {
            for to in layer.weight.data_mut().iter_mut().chain(&mut layer.bias) {
                *to = numbers.next().unwrap_or(-0.0);
            }
        }
        let metadata: Vec<_> = metadata.into_iter().collect();
        let bytes = encode(&network, (rows, columns), &metadata);
        let read = model(&bytes).unwrap();
        prop_assert_eq!(bits(&read.network), bits(&network));
        prop_assert_eq!(read.image_size, Some((rows, columns)));

        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        prop_assert_eq!(length % 8, 0);
        let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
        let Ok(Value::Object(members)) = json::parse(header) else { panic!("{header}") };
        let Value::Object(written) = &members[METADATA] else { panic!("{header}") };
        prop_assert_eq!(written.len(), 2 + metadata.len());
        for (name, text) in &metadata {
            prop_assert_eq!(&written[name], &Value::Text(text.clone()));
        }
    }
}

#[test]
fn a_network_is_finite_if_every_weight_and_every_bias_is() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for layer in 0..2 {
            let mut network = network(&[4, 3, 2], 1);
            assert!(network.is_finite());
            network.layers[layer].bias[1] = number;
            assert!(!network.is_finite());
            network.layers[layer].bias[1] = 0.0;
            network.layers[layer].weight.row_mut(1)[1] = number;
            assert!(!network.is_finite());
        }
    }
}

// ---- Broken files ------------------------------------------------------------------------------------------------

#[test]
fn a_header_length_that_cannot_be_is_refused_before_anything_is_read() {
    for length in [1 << 63, u64::MAX, u64::MAX - 7, (1 << 18) + 1] {
        let mut input = io::repeat(b' ').take(1 << 30);
        let message = decode(Path::new("m"), length.to_le_bytes().chain(&mut input), Kernel::best()).unwrap_err();
        assert!(message.to_string().contains(&format!("a header length of {length} bytes")), "{message}");
        assert_eq!(input.limit(), 1 << 30, "bytes were read for a header of {length}");
    }
}

#[test]
fn a_file_that_is_too_short_is_refused() {
    refused(b"", &["only 0 bytes"]);
    refused(b"1234567", &["only 7 bytes"]);
    refused(&file(HEADER.as_bytes(), &floats(17))[..100], &["end after 92 bytes of the header"]);
    refused(&file(HEADER.as_bytes(), &floats(17)[..67]), &["\"2.weight\"", "after 67 bytes", "68 bytes", "cut short"]);
    refused(&file(HEADER.as_bytes(), b""), &["\"0.bias\"", "after 0 bytes", "cut short"]);
    refused(&file(b"", b""), &["JSON that ends too early at byte 0"]);
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    refused(&file(HEADER.as_bytes(), &floats(18)), &["more than 68 bytes of numbers"]);
}

#[test]
fn an_endless_file_is_read_no_further_than_its_header_says() {
    let start = file(HEADER.as_bytes(), b"");
    let mut rest = io::repeat(0).take(1 << 30);
    let message = decode(Path::new("m"), (&start[..]).chain(&mut rest), Kernel::best()).unwrap_err().to_string();
    assert!(message.contains("more than 68 bytes"), "{message}");
    assert_eq!((1 << 30) - rest.limit(), 69);
}

#[test]
fn offsets_that_overlap_leave_holes_or_lie_elsewhere_are_refused() {
    refused(&altered("[36,44]", "[32,40]"), &["\"2.bias\" at byte 32", "overlaps", "byte 36"]);
    refused(&altered("[36,44]", "[0,8]"), &["overlaps"]);
    refused(&altered("[44,68]", "[48,72]"), &["\"2.weight\" at byte 48", "hole", "byte 44"]);
    refused(&altered("[0,12]", "[4,16]"), &["\"0.bias\" at byte 4", "hole", "byte 0"]);
    // All moved: a hole before the first.
    let moved = HEADER.replace("[0,12]", "[4,16]").replace("[12,36]", "[16,40]");
    let moved = moved.replace("[36,44]", "[40,48]").replace("[44,68]", "[48,72]");
    refused(&file(moved.as_bytes(), &floats(18)), &["\"0.bias\" at byte 4", "hole"]);
    refused(&altered("[44,68]", "[1000000,1000024]"), &["\"2.weight\" at byte 1000000", "hole"]);
    let max = usize::MAX;
    refused(&altered("[44,68]", &format!("[{},{max}]", max - 24)), &["\"2.weight\"", "at most 1073741824 bytes"]);
    refused(&altered("[44,68]", "[68,44]"), &["data_offsets 68 and 44", "4 bytes for each number"]);
    refused(&altered("[44,68]", "[44,67]"), &["data_offsets 44 and 67", "4 bytes for each number"]);
}

#[test]
fn offsets_of_another_form_are_refused() {
    refused(&altered("[44,68]", "[44]"), &["1 data_offsets", "\"2.weight\""]);
    refused(&altered("[44,68]", "[44,68,68]"), &["3 data_offsets"]);
    for form in ["[44,68.0]", "[-44,68]", "[44,6.8e1]", "[44,18446744073709551616]", "68", "null", "[44,\"68\"]", "{}"]
    {
        refused(&altered("[44,68]", form), &["something else for tensor \"2.weight\"", "whole numbers"]);
    }
    refused(&altered(r#", "data_offsets":[44,68]"#, ""), &["something else for tensor \"2.weight\""]);
    refused(&altered(r#"{"dtype":"F32", "shape":[3],   "data_offsets":[0,12]}"#, "7"), &["tensor \"0.bias\""]);
}

#[test]
fn another_dtype_is_refused() {
    for dtype in ["F64", "BF16", "F16", "I32", "f32", ""] {
        let bytes = altered(r#""F32", "shape":[2,3]"#, &format!(r#""{dtype}", "shape":[2,3]"#));
        refused(&bytes, &[&format!("dtype \"{dtype}\" in tensor \"2.weight\""), "dtype \"F32\"", "32-bit"]);
    }
    refused(&altered(r#""F32", "shape":[2,3]"#, r#"7, "shape":[2,3]"#), &["a dtype"]);
}

#[test]
fn shapes_that_are_wrong_or_do_not_chain_are_refused() {
    refused(&altered("[2,3]", "[6]"), &["shape \"[6]\" of tensor \"2.weight\"", "[fan_out, fan_in]"]);
    refused(&altered("[2,3]", "[2,3,1]"), &["\"2.weight\"", "[fan_out, fan_in]"]);
    refused(&altered("[2,3]", "[3,2]"), &["\"2.weight\"", "3 inputs, the units of the layer before"]);
    refused(&altered("[2,3]", "[1,6]"), &["\"2.weight\"", "3 inputs"]);
    refused(&altered("[3,2]", "[2,3]"), &["\"0.bias\"", "[2], one number for each unit of \"0.weight\""]);
    refused(&altered("[3], ", "[3,1],"), &["\"0.bias\"", "[3], one number for each unit"]);
    refused(&altered("[3], ", "[1,3],"), &["\"0.bias\""]);
    // A product of 2^66 is 2^2 in 64 bits.
    refused(&altered("[2,3]", "[8589934592,8589934592]"), &["\"2.weight\"", "4 bytes for each number"]);
    refused(&altered("[2,3]", "[4611686018427387910,1]"), &["\"2.weight\"", "4 bytes for each number"]);
    let empty = r#"{"0.weight":{"dtype":"F32","shape":[0,2],"data_offsets":[0,0]},
                    "0.bias":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    refused(&file(empty.as_bytes(), b""), &["\"0.weight\"", "at least 1 unit and 1 input"]);
    let no_input = r#"{"0.weight":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]},
                       "0.bias":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    refused(&file(no_input.as_bytes(), &floats(2)), &["\"0.weight\"", "at least 1 unit and 1 input"]);
}

#[test]
fn classes_that_a_label_cannot_hold_are_refused() {
    refused(&encode(&network(&[4, 1], 1), (2, 2), &[]), &["1 units in the last layer", "2 to 256 classes"]);
    refused(&encode(&network(&[4, 257], 1), (2, 2), &[]), &["257 units in the last layer"]);
    assert!(model(&encode(&network(&[4, 256], 1), (2, 2), &[])).is_ok());
}

#[test]
fn missing_and_unknown_layers_are_refused() {
    refused(&file(b"{}", b""), &["no tensor \"0.weight\""]);
    refused(&file(br#"{"__metadata__":{}}"#, b""), &["no tensor \"0.weight\""]);
    refused(&altered("0.bias", "1.bias"), &["no tensor \"0.bias\""]);
    refused(&altered("0.weight", "1.weight"), &["no tensor \"0.weight\""]);
    refused(&altered("2.bias", "4.bias"), &["no tensor \"2.bias\""]);
    let gap = HEADER.replace("\"2.", "\"4.");
    refused(&file(gap.as_bytes(), &floats(17)), &["tensor \"4.bias\", but no tensor \"2.weight\"", "2.weight, 2.bias"]);
    let other = HEADER.replacen('{', r#"{"conv":{"dtype":"F32","shape":[],"data_offsets":[68,72]},"#, 1);
    refused(&file(other.as_bytes(), &floats(18)), &["tensor \"conv\", but no tensor \"4.weight\"", "nothing else"]);
}

#[test]
fn weights_that_are_no_finite_numbers_are_refused() {
    for (number, text) in [(f32::NAN, "NaN"), (-f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        for (at, tensor) in [(0, "0.bias"), (3, "0.weight"), (10, "2.bias"), (16, "2.weight")] {
            let mut numbers = floats(17);
            numbers[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
            let words = [&format!("a weight of {text} in tensor \"{tensor}\"")[..], "finite numbers", "learning_rate"];
            refused(&file(HEADER.as_bytes(), &numbers), &words);
        }
    }
}

#[test]
fn duplicate_names_are_refused() {
    refused(&altered("2.bias", "0.bias"), &["second member of one name", "at byte"]);
    // The same name, written with an escape.
    refused(&altered("2.bias", "\\u0030.bias"), &["second member of one name"]);
    refused(&altered(r#""shape":[2,3]"#, r#""shape":[2,3],"shape":[2,3]"#), &["second member of one name"]);
}

#[test]
fn headers_that_are_no_sound_json_are_refused() {
    let nested = |open: &str, count| file(open.repeat(count).as_bytes(), b"");
    for count in [17, 1000, (1 << 18) / 5] {
        refused(&nested("[", count), &["nested too deep at byte 16"]);
        refused(&nested("{\"a\":", count), &["nested too deep at byte 80"]);
    }
    for bytes in [&b"\xff"[..], b"{\"\xc3\x28\":0}", b"{\"\xed\xa0\x80\":0}", b"{\"\xf0\x9f\""] {
        refused(&file(bytes, b""), &["not UTF-8"]);
    }
    refused(&file(br#"{"\x":0}"#, b""), &["unknown escape at byte 3"]);
    refused(&file(br#"{"\ud800":0}"#, b""), &["half a surrogate pair"]);
    refused(&file(b"{\"a\nb\":0}", b""), &["control character at byte 3"]);
    refused(&file(b"{\"a", b""), &["string without an end"]);
    refused(&file(b"[]", b""), &["no JSON object"]);
    refused(&file(b"{} {}", b""), &["goes on after its end at byte 3"]);
    refused(&altered("[2,3]", "[2,3"), &["JSON"]);
}

#[test]
fn metadata_of_another_form_is_refused() {
    let with = |metadata: &str| {
        file(HEADER.replacen('{', &format!("{{\"{METADATA}\":{metadata},"), 1).as_bytes(), &floats(17))
    };
    for other in ["7", "null", "[]", "\"rows\"", r#"{"rows":1,"columns":2}"#, r#"{"a":"b","c":{}}"#] {
        refused(&with(other), &["another value in __metadata__", "an object of strings"]);
    }
    for (rows, columns) in [("1", "3"), ("0", "0"), ("-1", "-2"), ("1.0", "2"), ("", "2"), ("4294967297", "4294967298")]
    {
        let words = [&format!("images of {rows:?} rows and {columns:?} columns")[..], "2 pixels"];
        refused(&with(&format!(r#"{{"rows":"{rows}","columns":"{columns}"}}"#)), &words);
    }
    let huge = u64::MAX / 2 + 2; // times two, this is 2 in 64 bits
    refused(&with(&format!(r#"{{"rows":"{huge}","columns":"2"}}"#)), &["2 pixels"]);
    refused(&with(r#"{"rows":"1"}"#), &["\"1\" rows and \"\" columns"]);
    assert_eq!(model(&with(r#"{"rows":"2","columns":"1"}"#)).unwrap().image_size, Some((2, 1)));
    assert_eq!(model(&with("{}")).unwrap().image_size, None);
}

#[test]
fn a_message_shows_neither_endless_text_nor_control_characters() {
    let long = "x".repeat(100_000);
    let message = |bytes: &[u8]| model(bytes).unwrap_err();
    assert!(message(&altered("2.bias", &long)).len() < 400);
    assert!(message(&altered(r#""F32", "shape":[2,3]"#, &format!(r#""{long}", "shape":[2,3]"#))).len() < 400);
    let shape = "1,".repeat(50_000) + "2,3";
    assert!(message(&altered("[2,3]", &format!("[{shape}]"))).len() < 400);
    let escaped = message(&altered(r#""F32", "shape":[2,3]"#, r#""\u001b[2J", "shape":[2,3]"#));
    assert!(!escaped.contains('\u{1b}') && escaped.contains("[2J"), "{escaped}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = Folder::new("weights");
    let message = |path: PathBuf| read(&path, Kernel::best()).unwrap_err().to_string();
    assert!(message(folder.0.join("missing")).contains("missing: found reading failed"));
    assert!(message(folder.0.clone()).contains("found a folder"));
    let path = folder.file("model", &file(HEADER.as_bytes(), &floats(17)));
    assert!(read(&path, Kernel::best()).is_ok());
}

proptest! {
    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(model(&bytes).is_err());
        // Behind a sound length, as a header and numbers.
        let header = bytes.len() / 2;
        prop_assert!(model(&file(&bytes[..header], &bytes[header..])).is_err());
    }

    #[test]
    fn random_text_as_a_header_is_refused(text in "[\\[\\]{}\",:0-9a-z. \\\\_-]{0,60}|\\PC{0,60}") {
        prop_assert!(model(&file(text.as_bytes(), &floats(17))).is_err());
    }

    #[test]
    fn a_cut_file_is_refused(seed in any::<u64>(), share in 0.0..1.0) {
        let bytes = encode(&network(&[6, 4, 3], seed), (2, 3), &[("a".into(), "b".into())]);
        prop_assert!(model(&bytes[..(share * bytes.len() as f64) as usize]).is_err());
    }

    #[test]
    fn a_flipped_bit_changes_one_weight_or_is_refused_or_hits_a_text(place in any::<prop::sample::Index>(), bit in 0..8) {
        let network = network(&[6, 4, 3], 1);
        let mut bytes = encode(&network, (2, 3), &[("a".into(), "b".into())]);
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let place = place.index(bytes.len());
        bytes[place] ^= 1_u8 << bit;
        match model(&bytes) {
            Ok(read) => {
                let different: u32 = bits(&read.network).concat().iter().zip(bits(&network).concat())
                    .map(|(a, b)| (a ^ b).count_ones()).sum();
                prop_assert_eq!(different, u32::from(place >= start));
            }
            Err(error) => prop_assert!(place < start || error.to_string().contains("in tensor"), "{}", error),
        }
    }

    #[test]
    fn any_other_number_in_the_header_is_refused(which in any::<prop::sample::Index>(), number in 0_u64..100) {
        // Where the numbers of shapes and offsets are: not those in names and dtypes, which are in quotes.
        let places: Vec<(usize, &str)> = HEADER
            .match_indices(|c: char| c.is_ascii_digit())
            .map(|(at, _)| at)
            .filter(|&at| "[,".contains(&HEADER[at - 1..at]))
            .map(|at| (at, HEADER[at..].split([',', ']']).next().unwrap()))
            .collect();
        prop_assert_eq!(places.len(), 2 + 1 + 2 + 1 + 4 * 2);
        let (at, old) = places[which.index(places.len())];
        let header = format!("{}{number}{}", &HEADER[..at], &HEADER[at + old.len()..]);
        prop_assert_eq!(model(&file(header.as_bytes(), &floats(17))).is_ok(), old == number.to_string());
    }

    #[test]
    fn a_spliced_file_never_panics_and_what_is_read_fits_together(
        from in any::<prop::sample::Index>(), length in 0_usize..40, to in any::<prop::sample::Index>(), insert: bool,
    ) {
        let bytes = encode(&network(&[6, 4, 3], 1), (2, 3), &[]);
        let from = from.index(bytes.len());
        let part = bytes[from..bytes.len().min(from + length)].to_vec();
        let to = to.index(bytes.len());
        let end = if insert { to } else { bytes.len().min(to + part.len()) };
        let mut spliced = bytes.clone();
        spliced.splice(to..end, part);
        if let Ok(Model { network, image_size }) = model(&spliced) {
            prop_assert_eq!(network.layers[0].weight.rows(), 6);
            prop_assert_eq!(network.layers[0].bias.len(), network.layers[1].weight.rows());
            if let Some((rows, columns)) = image_size {
                prop_assert_eq!(rows * columns, 6);
            }
            prop_assert!(network.is_finite());
        }
    }
}

// ---- JSON --------------------------------------------------------------------------------------------------------

#[test]
fn json_that_is_sound_is_read() {
    let number = Value::Number;
    let text = |text: &str| Value::Text(text.into());
    let object = |members: Vec<(&str, Value<'static>)>| {
        Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    for (json, value) in [
        ("null", Value::Null),
        (" true\t", Value::Bool(true)),
        ("\nfalse\r", Value::Bool(false)),
        ("0", number("0")),
        ("-0", number("-0")),
        ("9007199254740993", number("9007199254740993")),
        ("-12.50e+007", number("-12.50e+007")),
        ("1E-9", number("1E-9")),
        (r#""""#, text("")),
        (r#""a\"\\\/\b\f\n\r\tz""#, text("a\"\\/\u{8}\u{c}\n\r\tz")),
        (r#""\u0041\u00e9\u20AC\ud83d\ude00\uDBFF\uDFFF\u0000""#, text("Aé€😀\u{10ffff}\0")),
        ("\"é€😀\u{7f}\"", text("é€😀\u{7f}")),
        ("[]", Value::Array(vec![])),
        ("[ ]", Value::Array(vec![])),
        ("[1 , [2],{ }]", Value::Array(vec![number("1"), Value::Array(vec![number("2")]), object(vec![])])),
        (r#"{ "b" : 1 ,"a":{"b":null}}"#, object(vec![("b", number("1")), ("a", object(vec![("b", Value::Null)]))])),
    ] {
        assert_eq!(json::parse(json), Ok(value), "{json}");
    }
    assert!(json::parse(&("[".repeat(16) + &"]".repeat(16))).is_ok());
}

#[test]
fn json_that_is_not_sound_is_refused_where_it_ends_to_be() {
    for (json, message) in [
        ("", "ends too early at byte 0"),
        ("  ", "ends too early at byte 2"),
        ("[1,", "ends too early at byte 3"),
        ("[1", "has no comma or end where one must be at byte 2"),
        ("[1,]", "has no value where one must be at byte 3"),
        ("[,1]", "has no value where one must be at byte 1"),
        ("[1 2]", "has no comma or end where one must be at byte 3"),
        ("[1}", "has no comma or end where one must be at byte 2"),
        ("{\"a\":1,}", "has no string where one must be at byte 7"),
        ("{a:1}", "has no string where one must be at byte 1"),
        ("{\"a\" 1}", "has no colon where one must be at byte 5"),
        ("{\"a\":}", "has no value where one must be at byte 5"),
        ("{\"a\":1,\"a\":1}", "has a second member of one name at byte 7"),
        ("nul", "has no value where one must be at byte 0"),
        ("nulll", "goes on after its end at byte 4"),
        ("1 1", "goes on after its end at byte 2"),
        ("01", "goes on after its end at byte 1"),
        ("-", "has a broken number at byte 1"),
        ("-a", "has a broken number at byte 1"),
        ("1.", "has a broken number at byte 2"),
        ("1e+", "has a broken number at byte 3"),
        ("1e5.0", "goes on after its end at byte 3"),
        (".5", "has no value where one must be at byte 0"),
        ("+1", "has no value where one must be at byte 0"),
        ("NaN", "has no value where one must be at byte 0"),
        ("'a'", "has no value where one must be at byte 0"),
        ("\u{feff}1", "has no value where one must be at byte 0"),
        ("1\u{a0}", "goes on after its end at byte 1"),
        ("\"a", "has a string without an end or with a control character at byte 2"),
        ("\"a\tb\"", "has a string without an end or with a control character at byte 2"),
        ("\"\\", "has an unknown escape at byte 2"),
        ("\"\\a\"", "has an unknown escape at byte 2"),
        ("\"\\u12\"", "has an unknown escape at byte 2"),
        ("\"\\u+123\"", "has an unknown escape at byte 2"),
        ("\"\\u12é4\"", "has an unknown escape at byte 2"),
        ("\"\\U0041\"", "has an unknown escape at byte 2"),
        ("\"\\ude00\"", "has half a surrogate pair at byte 7"),
        ("\"\\ud83d\"", "has half a surrogate pair at byte 7"),
        ("\"\\ud83d\\u0041\"", "has half a surrogate pair at byte 13"),
        ("\"\\ud83d\\n\"", "has an unknown escape at byte 8"),
    ] {
        assert_eq!(json::parse(json).map_err(|flaw| flaw.to_string()), Err(message.into()), "{json}");
    }
    let deep = "[".repeat(17) + &"]".repeat(17);
    assert_eq!(json::parse(&deep).map_err(|flaw| flaw.to_string()), Err("is nested too deep at byte 16".into()));
}

#[test]
fn every_control_character_is_quoted() {
    for code in 0..0x20_u8 {
        assert_eq!(quote(&char::from(code).to_string()), format!("\"\\u{code:04x}\""));
    }
    assert_eq!(quote("\"\\ /\u{7f}é"), "\"\\\"\\\\ /\u{7f}é\"");
}

/// Any value whose numbers are taken from a list.
fn any_value() -> impl Strategy<Value = Value<'static>> {
    let numbers = prop::sample::select(vec!["0", "-7", "1.25", "2e9", "18446744073709551615"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers.prop_map(Value::Number),
        any::<String>().prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Value::Object),
        ]
    })
}

fn print(value: &Value, space: &str) -> String {
    let inner = match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.to_string(),
        Value::Text(text) => quote(text),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(|value| print(value, space)).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{space}{}{space}:{}", quote(name), print(value, space));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
    };
    format!("{space}{inner}{space}")
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(value in any_value(), space in "[ \t\n\r]{0,2}") {
        let printed = print(&value, &space);
        prop_assert_eq!(json::parse(&printed), Ok(value));
    }

    #[test]
    fn a_quoted_text_has_nothing_that_json_forbids(text in any::<String>()) {
        let quoted = quote(&text);
        prop_assert!(quoted.bytes().all(|byte| byte >= 0x20));
        prop_assert_eq!(json::parse(&quoted), Ok(Value::Text(text)));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:0-9eE+.nulltrfas \\\\-]{0,40}|\\PC{0,40}") {
        let _ = json::parse(&text);
    }
}
