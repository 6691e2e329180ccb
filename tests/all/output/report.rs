//! What a run leaves behind: the report's page and its data, and the weights file.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{Folder, pictures, small_config, train};
use crate::json::{self, Value};
use mnist_mlp::config::Config;
use mnist_mlp::data::{Data, Dataset};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::output::report::{self, base64};
use mnist_mlp::output::weights;
use mnist_mlp::session;
use mnist_mlp::training::Trained;

// ---- Tools -------------------------------------------------------------------------------------

const DATA_START: &str = r#"<script type="application/json" id="data">"#;

/// A network that was never trained, with what it makes of the test images.
fn untrained(widths: &[usize], test: &Dataset, seed: u64) -> Trained {
    let mut rng = Rng::new(seed, Stream::Initialisation);
    let mut network =
        Network::new(widths, Activation::Sigmoid, Initialisation::Xavier, &mut rng, Cpu::best());
    // Larger, so that it is surer of some images than of others.
    for layer in &mut network.layers {
        layer.weight.iter_mut().for_each(|weight| *weight *= 3.0);
    }
    let test_probabilities = network.predict(&test.images);
    Trained { network, history: vec![], train_accuracy: 0.5, test_probabilities }
}

/// The images for both training and testing.
fn both(images: &Dataset) -> Data {
    Data { train: images.clone(), test: images.clone() }
}

/// The page of a run, without what only one test is about.
fn page(test: &Dataset, trained: &Trained) -> String {
    report::html(&Config::default(), &[], "", b"weights", &both(test), &[], trained)
}

/// The JSON text in a page.
fn embedded(html: &str) -> &str {
    assert_eq!(html.matches(DATA_START).count(), 1);
    html.split_once(DATA_START).unwrap().1.split_once("</script>").unwrap().0
}

fn member<'a, 'b>(value: &'b Value<'a>, name: &str) -> &'b Value<'a> {
    let Value::Object(members) = value else { panic!("{name} of {value:?}") };
    members.get(name).unwrap_or_else(|| panic!("no {name}"))
}

fn items<'a, 'b>(value: &'b Value<'a>) -> &'b [Value<'a>] {
    let Value::Array(items) = value else { panic!("{value:?} is no array") };
    items
}

fn text<'b>(value: &'b Value) -> &'b str {
    let Value::Text(text) = value else { panic!("{value:?} is no text") };
    text
}

fn number<T: std::str::FromStr>(value: &Value) -> T {
    let Value::Number(text) = value else { panic!("{value:?} is no number") };
    text.parse().unwrap_or_else(|_| panic!("{text} is of another type"))
}

fn numbers<T: std::str::FromStr>(value: &Value) -> Vec<T> {
    items(value).iter().map(number).collect()
}

fn pairs<'b>(value: &'b Value) -> Vec<(&'b str, &'b str)> {
    items(value).iter().map(|pair| (text(&items(pair)[0]), text(&items(pair)[1]))).collect()
}

/// Base64 by its definition: six bits a digit, then whole bytes of them.
fn unbase64(text: &str) -> Vec<u8> {
    let digits =
        ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect::<Vec<_>>();
    let value = |c| {
        digits.iter().position(|&digit| digit == c).unwrap_or_else(|| panic!("{c} is no digit"))
    };
    let values = text.trim_end_matches('=').chars().map(value);
    let bits: Vec<u8> =
        values.flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit & 1) as u8)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

// ---- Base64 ------------------------------------------------------------------------------------

#[test]
fn base64_gives_the_vectors_of_rfc_4648() {
    let bytes = b"foobar";
    for (length, expected) in
        (0..).zip(["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"])
    {
        assert_eq!(base64(&bytes[..length]), expected);
    }
    assert_eq!(base64(&[0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff]), "++++////");
}

// ---- The page ----------------------------------------------------------------------------------

#[test]
fn no_text_of_a_run_changes_the_page_around_it() {
    let test = pictures(3, 4, 5, 3);
    let trained = untrained(&[20, 3], &test, 1);
    let evil = "</script><script>alert(1)</script><!--DATA--><!--SCRIPTS-->\"\\\n\u{2028}é";
    let config =
        Config { output: evil.into(), class_names: vec![evil, "b", "c"], ..Config::default() };
    let curves = "<svg><!--DATA--></svg>"; // looks like a place to fill, and is none
    let accuracies = [(evil, "0.5 ± 0.1".into())];
    let examples = [vec![vec![1, 2], vec![3, 4]], vec![vec![5], vec![6]]];
    let html =
        report::html(&config, &accuracies, curves, b"weights", &both(&test), &examples, &trained);
    let plain = page(&test, &trained);
    let data = json::parse(embedded(&html)).unwrap();
    assert!(pairs(member(&data, "config")).contains(&("learning rate", "0.02")));
    assert_eq!(pairs(member(&data, "accuracies")), [(evil, "0.5 ± 0.1")]);
    let example = |row, i| unbase64(text(&items(&items(member(&data, "examples"))[row])[i]));
    assert_eq!([example(0, 0), example(0, 1), example(1, 1)], [vec![1, 2], vec![3, 4], vec![6]]);
    assert_eq!(
        items(member(&data, "class_names")).iter().map(text).collect::<Vec<_>>(),
        config.class_names
    );
    let around = html.replace(embedded(&html), "").replace(curves, "");
    assert_eq!(around, plain.replace(embedded(&plain), ""));
    assert!(
        !embedded(&html).contains('<')
            && !plain.contains("<!--DATA-->")
            && !plain.contains("<!--SCRIPTS-->")
    );
    assert_eq!((plain.matches("</script>").count(), plain.matches("</style>").count()), (8, 2));
}

/// Whether the page's data says what the network and the test images say.
fn agrees(test: &Dataset, trained: &Trained) {
    let html = page(test, trained);
    let data = json::parse(embedded(&html)).unwrap();
    let images = &test.images;
    let probabilities = &trained.test_probabilities;
    let classes = probabilities.columns();
    let sizes = ["rows", "columns", "classes"].map(|name| number::<usize>(member(&data, name)));
    assert_eq!(sizes, [images.rows, images.columns, classes]);
    assert_eq!(unbase64(text(member(&data, "weights"))), b"weights");

    // What a reader of the probabilities finds, counted by hand.
    let (mut counts, mut surest) = (vec![vec![0; classes]; classes], Vec::new());
    for (i, truth) in test.labels.iter().map(|&label| usize::from(label)).enumerate() {
        let row = probabilities.row(i);
        let prediction = (0..classes).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        counts[truth][prediction] += 1;
        surest.extend((prediction != truth).then(|| (row[prediction], [i, truth, prediction])));
    }
    surest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let confusion: Vec<Vec<usize>> =
        items(member(&data, "confusion")).iter().map(numbers).collect();
    assert_eq!(confusion, counts);

    let mistakes = items(member(&data, "mistakes"));
    assert_eq!(mistakes.len(), surest.len().min(40));
    for (mistake, (probability, place)) in mistakes.iter().zip(surest) {
        assert_eq!(number::<f32>(member(mistake, "probability")), probability);
        assert_eq!(
            ["index", "truth", "prediction"].map(|name| number::<usize>(member(mistake, name))),
            place
        );
        assert_eq!(unbase64(text(member(mistake, "pixels"))), images.image(place[0]));
    }

    let samples = member(&data, "samples");
    let count = images.count().min(200);
    assert_eq!(unbase64(text(member(samples, "pixels"))), images.pixels[..count * images.size()]);
    let rows: Vec<Vec<f32>> = items(member(samples, "probabilities")).iter().map(numbers).collect();
    assert_eq!(
        (rows.len(), rows.concat()),
        (count, probabilities.to_vec()[..count * classes].to_vec())
    );
}

#[test]
fn the_page_s_data_agrees_with_the_network() {
    for (count, rows, columns, widths) in [
        (300, 4, 5, &[20, 7, 6, 4][..]),
        (199, 1, 3, &[3, 2]),
        (200, 2, 2, &[4, 5, 11]),
        (1, 3, 2, &[6, 3]),
    ] {
        let test = pictures(count, rows, columns, widths[widths.len() - 1]);
        agrees(&test, &untrained(widths, &test, 3));
    }
    // Nothing is wrong: there are no mistakes to show.
    let mut test = pictures(50, 2, 3, 3);
    let trained = untrained(&[6, 3], &test, 3);
    test.labels =
        (0..50).map(|i| mnist_mlp::metrics::argmax(trained.test_probabilities.row(i))).collect();
    agrees(&test, &trained);
}

#[test]
fn the_page_stays_small_whatever_the_images_and_classes() {
    for (count, side, classes, bound) in
        [(2000, 28, 10, 750_000), (500, 28, 256, 1_500_000), (100, 200, 2, 1_500_000)]
    {
        let test = pictures(count, side, side, classes);
        let trained = untrained(&[side * side, 2, classes], &test, 1);
        let html = page(&test, &trained);
        assert!(html.len() < bound, "{} bytes beside the weights and the curves", html.len());
        // With the most weights that it takes and with one more, which it leaves out.
        let most = (3_000_000 - 100_000 - embedded(&html).len()) / 4 * 3;
        let [most, more] = [most, most + 400].map(|count| {
            report::html(&Config::default(), &[], "", &vec![7; count], &both(&test), &[], &trained)
        });
        assert!((2_850_000..3_000_000).contains(&most.len()), "{} bytes", most.len());
        assert!(embedded(&more).ends_with(r#""weights":""}"#) && more.len() < bound);
    }
}

// ---- A run -------------------------------------------------------------------------------------

#[test]
fn a_run_leaves_its_network_its_configuration_and_its_accuracies() {
    let folder = Folder::new("run");
    let data = Data { train: pictures(40, 3, 4, 3), test: pictures(25, 3, 4, 3) };
    let config = Config { classes: 3, output: folder.0.clone(), ..small_config() };
    let trained = train(&config, &data, Cpu::best()).unwrap();
    assert_eq!(trained.test_probabilities, trained.network.predict(&data.test.images));
    session::save(&config, &data, &trained, &[]).unwrap();

    let path = config.output.join("model.safetensors");
    let model = weights::read(&path, trained.network.cpu, None).unwrap();
    assert_eq!((&model.network, model.image_size), (&trained.network, Some((3, 4))));

    // Both the weights file and the page tell the whole configuration and the accuracies.
    let named = |fields: Vec<(&str, String)>, separator: &str| -> BTreeMap<String, String> {
        let facts = fields.into_iter().chain(session::accuracies(&config, &data, &trained));
        facts.map(|(name, text)| (name.replace(['_', ' '], separator), text)).collect()
    };
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = json::parse(std::str::from_utf8(&bytes[8..8 + length]).unwrap()).unwrap();
    let Value::Object(metadata) = member(&header, "__metadata__") else { panic!("no metadata") };
    let mut written: BTreeMap<_, _> =
        metadata.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    assert_eq!(
        [written.remove("rows"), written.remove("columns")],
        [Some("3".into()), Some("4".into())]
    );
    assert_eq!(written, named(config.fields(), "_"));

    let html = fs::read_to_string(config.output.join("report.html")).unwrap();
    assert!(html.contains(&fs::read_to_string(config.output.join("curves.svg")).unwrap()));
    let page = json::parse(embedded(&html)).unwrap();
    let shown = [pairs(member(&page, "config")), pairs(member(&page, "accuracies"))].concat();
    let shown: BTreeMap<_, _> =
        shown.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
    assert_eq!(shown, named(config.shown(), " "));
    assert_eq!(unbase64(text(member(&page, "weights"))), bytes);
}
