//! The weights file and the JSON in it: sound, cut, altered and hostile.

use std::io::{self, Read};
use std::path::Path;

use crate::common::{Folder, assert_error, network_bits};
use crate::json::{self, Value};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::{Initialisation, Linear};
use mnist_mlp::output::json::{Reader, quote};
use mnist_mlp::output::weights::{Model, decode, encode, read};
use proptest::prelude::*;

// ---- Tools -------------------------------------------------------------------------------------

const METADATA: &str = "__metadata__";

fn network(widths: &[usize], seed: u64) -> Network {
    let mut rng = Rng::new(seed, Stream::Initialisation);
    Network::new(widths, Activation::Sigmoid, Initialisation::Xavier, &mut rng, Cpu::best())
}

/// Decodes bytes as a file called "m".
fn model(bytes: &[u8]) -> Result<Model, String> {
    decode(Path::new("m"), bytes, Cpu::best(), None).map_err(|error| error.to_string())
}

/// Decodes the bytes of a file that names no activation, as one of sigmoids.
fn of_sigmoids(bytes: &[u8]) -> Result<Model, String> {
    let activation = Some(Activation::Sigmoid);
    decode(Path::new("m"), bytes, Cpu::best(), activation).map_err(|error| error.to_string())
}

/// A file of this header, which is not checked, and these numbers.
fn file(header: &[u8], numbers: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, numbers].concat()
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// The header of a sound network 2 → 3 → 2 in PyTorch's order of tensors, without metadata; its
/// numbers take 17 × 4 bytes.
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
    let message = of_sigmoids(bytes).expect_err("this file is not sound");
    assert!(message.starts_with("m: found ") && message.len() < 400, "{message}");
    assert_error::<()>(Err(message), words);
}

// ---- Sound files -------------------------------------------------------------------------------

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
    let network = Network { layers, activation: Activation::ReLU, cpu: Cpu::best() };
    let bytes = encode(
        &network,
        (1, 2),
        &[("a \"name\"".into(), "0.9786 ± 0.0014".into()), ("activation".into(), "".into())],
    );

    let header = concat!(
        r#"{"__metadata__":{"rows":"1","columns":"2","activation":"ReLU","#,
        r#""a \"name\"":"0.9786 ± 0.0014"},"#,
        r#""0.weight":{"dtype":"F32","shape":[3, 2],"data_offsets":[0,24]},"#,
        r#""0.bias":{"dtype":"F32","shape":[3],"data_offsets":[24,36]},"#,
        r#""2.weight":{"dtype":"F32","shape":[2, 3],"data_offsets":[36,60]},"#,
        r#""2.bias":{"dtype":"F32","shape":[2],"data_offsets":[60,68]}}"#
    );
    let numbers: [f32; 17] =
        [1., 4., 2., 5., 3., 6., 7., 8., 9., 10., 12., 14., 11., 13., 15., 16., 17.];
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(length % 8, 0);
    assert!(length - header.len() < 8);
    let (text, rest) = bytes[8..].split_at(length);
    assert_eq!(std::str::from_utf8(text).unwrap().trim_end_matches(' '), header);
    assert_eq!(rest, numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    let Model { network: read, image_size, metadata } = model(&bytes).unwrap();
    assert_eq!((read, image_size), (network, Some((1, 2))));
    assert_eq!(metadata["a \"name\""], "0.9786 ± 0.0014");
}

#[test]
fn a_file_of_pytorch_s_own_is_read_without_our_metadata() {
    for header in
        [HEADER.to_string(), HEADER.replacen('{', r#"{"__metadata__":{"format":"pt"},"#, 1)]
    {
        let Model { network, image_size, .. } =
            of_sigmoids(&file(header.as_bytes(), &floats(17))).unwrap();
        assert_eq!((network.activation, image_size), (Activation::Sigmoid, None));
        let [first, second] = &network.layers[..] else {
            panic!("{} layers", network.layers.len())
        };
        assert_eq!(first.bias, [0.0, 1.0, 2.0]);
        assert_eq!((first.weight.rows(), first.weight.columns()), (2, 3));
        assert_eq!(first.weight.to_vec(), [3.0, 5.0, 7.0, 4.0, 6.0, 8.0]);
        assert_eq!(second.bias, [9.0, 10.0]);
        assert_eq!((second.weight.rows(), second.weight.columns()), (3, 2));
        assert_eq!(second.weight.to_vec(), [11.0, 14.0, 12.0, 15.0, 13.0, 16.0]);
    }
}

/// A ReLU network that is read as one of sigmoids is wrong about most images, and nothing else
/// tells.
#[test]
fn a_file_with_hidden_layers_must_name_their_activation_or_be_asked_for_one() {
    let bytes = file(HEADER.as_bytes(), &floats(17));
    let parts = [
        "m: found no activation in __metadata__",
        "one of Sigmoid, Tanh, ReLU, SiLU",
        "--activation",
    ];
    assert_error(model(&bytes), &parts);
    for activation in Activation::ALL {
        let model = decode(Path::new("m"), &bytes[..], Cpu::best(), Some(activation)).unwrap();
        assert_eq!(model.network.activation, activation);
    }
    let layer = r#"{"0.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
                    "0.bias":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}}"#;
    assert!(model(&file(layer.as_bytes(), &floats(8))).is_ok(), "a single layer has no activation");
}

/// Our own writer makes one of many long class names.
#[test]
fn a_header_of_hundreds_of_kilobytes_is_read() {
    let network = network(&[4, 2], 1);
    let long = "x".repeat(300 << 10);
    let read = model(&encode(&network, (2, 2), &[("long".into(), long.clone())])).unwrap();
    assert_eq!((read.network, &read.metadata["long"]), (network, &long));
}

proptest! {
    #[test]
    fn any_network_comes_back_bit_by_bit(
        rows in 1_usize..5,
        columns in 1_usize..5,
        // By name, "10.weight" comes before "2.weight".
        hidden in prop::collection::vec(1_usize..9, 0..8),
        activation in prop::sample::select(&Activation::ALL),
        classes in 2_usize..9,
        numbers in prop::collection::vec(any::<u32>(), 1..99),
        metadata in prop::collection::btree_map("[a-q ±\"\\\\\n]{1,9}", any::<String>(), 0..5),
    ) {
        let mut network = network(&[&[rows * columns], &hidden[..], &[classes]].concat(), 0);
        network.activation = activation;
        let numbers = numbers.into_iter().map(f32::from_bits);
        let mut numbers = numbers.filter(|number| number.is_finite()).cycle();
        for layer in &mut network.layers {
            for to in layer.weight.iter_mut().chain(&mut layer.bias) {
                *to = numbers.next().unwrap_or(-0.0);
            }
        }
        let metadata: Vec<_> = metadata.into_iter().collect();
        let read = model(&encode(&network, (rows, columns), &metadata)).unwrap();
        prop_assert_eq!(network_bits(&read.network), network_bits(&network));
        prop_assert_eq!(read.network.activation, activation);
        prop_assert_eq!(read.image_size, Some((rows, columns)));
    }
}

#[test]
fn a_network_is_finite_if_every_weight_and_every_bias_is() {
    assert!(network(&[4, 3, 2], 1).is_finite());
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for layer in 0..2 {
            let mut weight = network(&[4, 3, 2], 1);
            let mut bias = network(&[4, 3, 2], 1);
            weight.layers[layer].weight.row_mut(1)[1] = number;
            bias.layers[layer].bias[1] = number;
            assert!(!weight.is_finite() && !bias.is_finite());
        }
    }
}

// ---- Broken files ------------------------------------------------------------------------------

#[test]
fn a_header_length_that_cannot_be_is_refused_before_anything_is_read() {
    for length in [1 << 63, u64::MAX, u64::MAX - 7, 100_000_001] {
        let mut input = io::repeat(b' ').take(1 << 30);
        let result =
            decode(Path::new("m"), length.to_le_bytes().chain(&mut input), Cpu::best(), None);
        assert_error(result, &[&format!("a header length of {length} bytes")]);
        assert_eq!(input.limit(), 1 << 30, "bytes were read for a header of {length}");
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let sound = |numbers| file(HEADER.as_bytes(), &floats(numbers));
    refused(b"", &["only 0 bytes"]);
    refused(b"1234567", &["only 7 bytes"]);
    refused(
        &sound(17)[..100],
        &["only 92 bytes of the header", &format!("all {} bytes", HEADER.len())],
    );
    refused(&sound(17)[..HEADER.len() + 75], &["only 67 bytes of numbers", "68 bytes"]);
    refused(&sound(0), &["only 0 bytes of numbers", "68 bytes"]);
    refused(&sound(18), &["at least 69 bytes of numbers", "68 bytes"]);
    (0..sound(17).len()).for_each(|end| refused(&sound(17)[..end], &["only"]));
    refused(&file(b"", b""), &["the end at byte 0 of the header", "expected \"{\""]);
}

#[test]
fn an_endless_file_is_read_no_further_than_its_header_says() {
    let start = file(HEADER.as_bytes(), b"");
    let mut rest = io::repeat(0).take(1 << 30);
    let result = decode(
        Path::new("m"),
        (&start[..]).chain(&mut rest),
        Cpu::best(),
        Some(Activation::Sigmoid),
    );
    assert_error(result, &["at least 69 bytes"]);
    assert_eq!((1 << 30) - rest.limit(), 69);
}

#[test]
fn another_dtype_and_offsets_that_overlap_leave_holes_or_lie_elsewhere_are_refused() {
    for dtype in ["F64", "BF16", "f32", ""] {
        let bytes = altered(r#""F32", "shape":[2,3]"#, &format!(r#""{dtype}", "shape":[2,3]"#));
        refused(
            &bytes,
            &[&format!("dtype \"{dtype}\" of tensor \"2.weight\""), "dtype \"F32\"", "32-bit"],
        );
    }
    refused(&altered("[36,44]", "[32,40]"), &["\"2.bias\" at byte 32", "overlaps", "byte 36"]);
    refused(&altered("[44,68]", "[48,72]"), &["\"2.weight\" at byte 48", "hole", "byte 44"]);
    refused(&altered("[0,12]", "[4,16]"), &["\"0.bias\" at byte 4", "hole", "byte 0"]);
    // All moved: a hole before the first.
    let moved = HEADER.replace("[0,12]", "[4,16]").replace("[12,36]", "[16,40]");
    let moved = moved.replace("[36,44]", "[40,48]").replace("[44,68]", "[48,72]");
    refused(&file(moved.as_bytes(), &floats(18)), &["\"0.bias\" at byte 4", "hole"]);
    let max = usize::MAX;
    refused(
        &altered("[44,68]", &format!("[{},{max}]", max - 24)),
        &["\"2.weight\" at byte", "hole"],
    );
    refused(
        &altered("[44,68]", "[68,44]"),
        &["data_offsets [68, 44] of tensor \"2.weight\"", "4 bytes for each"],
    );
    refused(
        &altered("[44,68]", "[44,67]"),
        &["data_offsets [44, 67] of tensor \"2.weight\"", "4 bytes for each"],
    );
    refused(&altered("[44,68]", "[44]"), &["data_offsets [44] of", "a start and an end"]);
    refused(&altered("[44,68]", "[44,68,68]"), &["data_offsets [44, 68, 68] of"]);
    refused(
        &altered(r#", "data_offsets":[44,68]"#, ""),
        &["data_offsets [] of tensor \"2.weight\""],
    );
    // A network of 4 GiB.
    let large = r#"{"0.weight":{"dtype":"F32","shape":[2,536870912],"data_offsets":[0,4294967296]},
                    "0.bias":{"dtype":"F32","shape":[2],"data_offsets":[4294967296,4294967304]}}"#;
    refused(
        &file(large.as_bytes(), b""),
        &["4294967304 bytes of numbers", "at most 536870912 bytes"],
    );
}

#[test]
fn shapes_that_are_wrong_or_do_not_chain_and_classes_that_a_label_cannot_hold_are_refused() {
    refused(
        &encode(&network(&[4, 1], 1), (2, 2), &[]),
        &["1 units in the last layer", "2 to 256 classes"],
    );
    refused(&encode(&network(&[4, 257], 1), (2, 2), &[]), &["257 units in the last layer"]);
    assert!(model(&encode(&network(&[4, 256], 1), (2, 2), &[])).is_ok());
    for (shape, other) in
        [("[2,3]", "[6]"), ("[2,3]", "[2,3,1]"), ("[2,3]", "[3,2]"), ("[2,3]", "[1,6]")]
    {
        let found = format!("shapes {} and [2] of 2.weight and 2.bias", other.replace(',', ", "));
        refused(
            &altered(shape, other),
            &[&found, "expected [fan_out, 3] and [fan_out], each at least 1"],
        );
    }
    let mut broken = network(&[2, 3, 2], 1);
    broken.layers[1] = network(&[4, 2], 1).layers.remove(0);
    refused(
        &encode(&broken, (1, 2), &[]),
        &["shapes [2, 4] and [2] of 2.weight", "expected [fan_out, 3]"],
    );
    for (shape, other) in [("[3,2]", "[2,3]"), ("[3], ", "[3,1],"), ("[3], ", "[1,3],")] {
        refused(
            &altered(shape, other),
            &["of 0.weight and 0.bias", "expected [fan_out, fan_in] and [fan_out]"],
        );
    }
    // A product of 2^66 is 2^2 in 64 bits.
    refused(
        &altered("[2,3]", "[8589934592,8589934592]"),
        &["\"2.weight\"", "4 bytes for each number"],
    );
    refused(
        &altered("[2,3]", "[4611686018427387910,1]"),
        &["\"2.weight\"", "4 bytes for each number"],
    );
    let backwards = r#"[8589934592,8589934592], "data_offsets":[68,44]"#;
    refused(
        &altered(r#"[2,3], "data_offsets":[44,68]"#, backwards),
        &["\"2.weight\"", "4 bytes for each number"],
    );
    for (shape, bias, size) in [("[0,2]", 0, 0), ("[2,0]", 2, 8)] {
        let header = format!(
            r#"{{"0.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}},
                 "0.bias":{{"dtype":"F32","shape":[{bias}],"data_offsets":[0,{size}]}}}}"#
        );
        refused(
            &file(header.as_bytes(), &floats(bias)),
            &["of 0.weight and 0.bias", "each at least 1"],
        );
    }
}

#[test]
fn missing_and_unknown_layers_are_refused() {
    refused(&file(b"{}", b""), &["no tensor \"0.weight\", but []", "0.weight, 0.bias, 2.weight"]);
    refused(&file(br#"{"__metadata__":{}}"#, b""), &["no tensor \"0.weight\""]);
    refused(&altered("0.bias", "1.bias"), &["no tensor \"0.bias\", but [\"1.bias\", "]);
    refused(&altered("0.weight", "1.weight"), &["no tensor \"0.weight\""]);
    refused(&altered("2.bias", "4.bias"), &["no tensor \"2.bias\", but [\"4.bias\"]"]);
    let gap = HEADER.replace("\"2.", "\"4.");
    refused(
        &file(gap.as_bytes(), &floats(17)),
        &["no tensor \"2.weight\", but [\"4.bias\", \"4.weight\"]"],
    );
    let other =
        HEADER.replacen('{', r#"{"conv":{"dtype":"F32","shape":[],"data_offsets":[68,72]},"#, 1);
    refused(
        &file(other.as_bytes(), &floats(18)),
        &["no tensor \"4.weight\", but [\"conv\"]", "nothing else"],
    );
}

#[test]
fn weights_that_are_no_finite_numbers_are_refused() {
    for (number, text) in
        [(f32::NAN, "NaN"), (-f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")]
    {
        for (at, tensor) in [(0, "0.bias"), (3, "0.weight"), (10, "2.bias"), (16, "2.weight")] {
            let mut numbers = floats(17);
            numbers[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
            let words = [
                &format!("a weight of {text} in tensor \"{tensor}\"")[..],
                "finite numbers",
                "learning_rate",
            ];
            refused(&file(HEADER.as_bytes(), &numbers), &words);
        }
    }
}

#[test]
fn headers_of_another_form_are_refused() {
    // The mark shows where the reader finds that something is wrong.
    let refused_at_mark = |from: &str, marked: &str, expected: &str| {
        let place = HEADER.find(from).unwrap() + marked.find('¦').unwrap();
        let words =
            [&format!("at byte {place} of the header")[..], &format!("expected {expected};")];
        refused(&altered(from, &marked.replace('¦', "")), &words);
    };
    for marked in [
        "[44,¦]",
        "[¦-44,68]",
        "[44,¦\"68\"]",
        "[¦,44]",
        "[¦044,68]",
        "[44,¦18446744073709551616]",
        "[¦[44,68]]",
    ] {
        refused_at_mark("[44,68]", marked, "a whole number");
    }
    for (marked, expected) in [
        ("¦68", "\"[\""),
        ("¦null", "\"[\""),
        ("¦{}", "\"[\""),
        ("[44,68¦.0]", "\"]\""),
        ("[44,6¦e1]", "\"]\""),
        ("[44 ¦68]", "\"]\""),
        ("[44,68], ¦\"shape\":[2,3]", "a name that has not been used before"),
        ("[44,68], \"x\":¦0", "no members but dtype, shape and data_offsets"),
        ("[44,68],¦", "a JSON string"),
    ] {
        refused_at_mark("[44,68]", marked, expected);
    }
    refused_at_mark(
        r#"{"dtype":"F32", "shape":[3],"#,
        r#"{"dtype":¦7, "shape":[3],"#,
        "a JSON string",
    );
    refused_at_mark(r#"{"dtype":"F32", "shape":[3],"#, r#"¦7, "shape":[3],"#, "\"{\"");
    refused_at_mark(r#""2.bias":   {"#, r#""2.bias"¦{"#, "\":\"");
    refused_at_mark(r#""2.bias""#, r#"¦"0.bias""#, "a name that has not been used before");
    refused_at_mark(r#""2.bias""#, r#"¦"\u0030.bias""#, "a name that has not been used before");

    for bytes in [&b"\xff"[..], b"{\"\xc3\x28\":0}", b"{\"\xed\xa0\x80\":0}", b"{\"\xf0\x9f\""] {
        refused(&file(bytes, b""), &["not UTF-8"]);
    }
    for (header, expected) in [
        ("[]", "\"{\""),
        ("\u{feff}{}", "\"{\""),
        ("{} {}", "the end of the header"),
        ("{a:1}", "a JSON string"),
        ("{\u{a0}}", "a JSON string"),
    ] {
        refused(
            &file(header.as_bytes(), b""),
            &["of the header", &format!("expected {expected};")],
        );
    }
    // No nesting is too deep for the reader, since it goes no deeper than the format.
    for open in ["[", "{\"a\":", "{\"a\":{\"shape\":["] {
        refused(
            &file(open.repeat((1 << 18) / open.len()).as_bytes(), b""),
            &["of the header; expected"],
        );
    }
}

#[test]
fn metadata_of_another_form_is_refused() {
    let with = |metadata: &str| {
        file(
            HEADER.replacen('{', &format!("{{\"{METADATA}\":{metadata},"), 1).as_bytes(),
            &floats(17),
        )
    };
    for other in ["7", "null", "[]", "\"rows\""] {
        refused(&with(other), &["of the header; expected \"{\""]);
    }
    for other in [r#"{"rows":1,"columns":2}"#, r#"{"a":"b","c":{}}"#] {
        refused(&with(other), &["of the header; expected a JSON string"]);
    }
    for activation in Activation::ALL {
        let model = model(&with(&format!(r#"{{"activation":"{activation:?}"}}"#))).unwrap();
        assert_eq!(model.network.activation, activation);
        let asked = of_sigmoids(&with(&format!(r#"{{"activation":"{activation:?}"}}"#)));
        match activation {
            Activation::Sigmoid => assert!(asked.is_ok()),
            _ => drop(assert_error(
                asked,
                &[&format!("found activation {activation:?}"), "expected Sigmoid"],
            )),
        }
    }
    for other in ["", "relu", "ReLU ", "Softplus"] {
        let words = [
            &format!("activation {other:?} in __metadata__")[..],
            "one of Sigmoid, Tanh, ReLU, SiLU",
        ];
        refused(&with(&format!(r#"{{"activation":"{other}"}}"#)), &words);
    }
    for (rows, columns) in [
        ("1", "3"),
        ("0", "0"),
        ("-1", "-2"),
        ("1.0", "2"),
        ("", "2"),
        ("4294967297", "4294967298"),
    ] {
        let words = [&format!("images of {rows:?} rows and {columns:?} columns")[..], "2 pixels"];
        refused(&with(&format!(r#"{{"rows":"{rows}","columns":"{columns}"}}"#)), &words);
    }
    let huge = u64::MAX / 2 + 2; // times two, this is 2 in 64 bits
    refused(&with(&format!(r#"{{"rows":"{huge}","columns":"2"}}"#)), &["2 pixels"]);
    refused(&with(r#"{"rows":"1"}"#), &["\"1\" rows and \"\" columns"]);
    assert_eq!(
        of_sigmoids(&with(r#"{"rows":"2","columns":"1"}"#)).unwrap().image_size,
        Some((2, 1))
    );
    assert_eq!(of_sigmoids(&with("{}")).unwrap().image_size, None);
}

#[test]
fn a_message_shows_neither_endless_text_nor_control_characters() {
    let long = "x".repeat(100_000);
    for bytes in [
        altered("2.bias", &long),
        altered(r#""F32", "shape":[2,3]"#, &format!(r#""{long}", "shape":[2,3]"#)),
        altered("[2,3]", &format!("[{}2,3]", "1,".repeat(50_000))),
        altered("[2,3]", &long),
    ] {
        refused(&bytes, &["…"]);
    }
    let escaped =
        model(&altered(r#""F32", "shape":[2,3]"#, r#""\u001b[2J", "shape":[2,3]"#)).unwrap_err();
    assert!(!escaped.contains('\u{1b}') && escaped.contains("[2J"), "{escaped}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = Folder::new("weights");
    assert_error(
        read(&folder.0.join("missing"), Cpu::best(), None),
        &["cannot read", "missing: no such file"],
    );
    assert_error(read(&folder.0, Cpu::best(), None), &["found a folder"]);
    let path = folder.file("model", &file(HEADER.as_bytes(), &floats(17)));
    assert!(read(&path, Cpu::best(), Some(Activation::Tanh)).is_ok());
}

proptest! {
    #[test]
    fn random_text_as_a_header_is_refused(text in "[\\[\\]{}\",:0-9a-z. \\\\_-]{0,60}|\\PC{0,60}") {
        prop_assert!(model(&file(text.as_bytes(), &floats(17))).is_err());
    }

    #[test]
    fn a_flipped_bit_changes_one_weight_or_is_refused_or_hits_a_text(
        place in any::<prop::sample::Index>(), bit in 0..8,
    ) {
        let network = network(&[6, 4, 3], 1);
        let mut bytes = encode(&network, (2, 3), &[("a".into(), "b".into())]);
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let place = place.index(bytes.len());
        bytes[place] ^= 1_u8 << bit;
        match model(&bytes) {
            Ok(read) => {
                let different: u32 = network_bits(&read.network).iter().zip(network_bits(&network))
                    .map(|(a, b)| (a ^ b).count_ones()).sum();
                prop_assert_eq!(different, u32::from(place >= start));
            }
            Err(error) => prop_assert!(place < start || error.contains("in tensor"), "{}", error),
        }
    }

    #[test]
    fn a_spliced_file_never_panics_and_what_is_read_fits_together(
        from in any::<prop::sample::Index>(), length in 0_usize..40,
        to in any::<prop::sample::Index>(), insert: bool,
    ) {
        let bytes = encode(&network(&[6, 4, 3], 1), (2, 3), &[]);
        let from = from.index(bytes.len());
        let to = to.index(bytes.len());
        let part = &bytes[from..bytes.len().min(from + length)];
        let end = if insert { to } else { bytes.len().min(to + length) };
        let spliced = [&bytes[..to], part, &bytes[end..]].concat();
        if let Ok(Model { network, image_size, .. }) = model(&spliced) {
            prop_assert_eq!(network.layers[0].weight.rows(), 6);
            prop_assert_eq!(network.layers[0].bias.len(), network.layers[1].weight.rows());
            prop_assert!(image_size.is_none_or(|(rows, columns)| rows * columns == 6));
            prop_assert!(network.is_finite());
        }
    }
}

// ---- JSON --------------------------------------------------------------------------------------

/// The string that `json` consists of.
fn string(json: &str) -> Result<String, String> {
    let mut reader = Reader::new(Path::new("m"), json);
    reader
        .string()
        .and_then(|string| reader.end().map(|()| string))
        .map_err(|error| error.to_string())
}

#[test]
fn strings_are_read_without_their_escapes() {
    for (json, text) in [
        (" \r\n\t\"\" ", ""),
        (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
        (r#""\u0041\u00e9\u20AC\ud83d\ude00\uDBFF\uDFFF\u0000""#, "Aé€😀\u{10ffff}\0"),
        ("\"é€😀\u{7f}\"", "é€😀\u{7f}"),
    ] {
        assert_eq!(string(json), Ok(text.into()), "{json}");
    }
    let broken = r#""a "\ "\a" "\u12" "\u+123" "\u12é4" "\u123g" "\U0041"
                    "\ude00" "\ud83d" "\ud83d\u0041" "\ud83d\n" 'a' a"#;
    for json in broken.split_whitespace().chain(["", "\"a\tb\""]) {
        assert!(
            string(json).unwrap_err().contains("at byte 0 of the header; expected a JSON string"),
            "{json}"
        );
    }
}

proptest! {
    #[test]
    fn a_quoted_text_has_nothing_that_json_forbids(
        text in "\\PC{0,20}|[\\x00-\\x1f\\\\\"a]{0,20}",
    ) {
        let quoted = quote(&text);
        prop_assert!(quoted.bytes().all(|byte| byte >= 0x20));
        prop_assert_eq!(json::parse(&quoted), Some(Value::Text(text.clone())));
        prop_assert_eq!(string(&quoted), Ok(text));
    }
}
