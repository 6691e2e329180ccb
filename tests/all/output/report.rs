//! What a run leaves behind: the report's page and its data, and the weights file.

use std::collections::BTreeMap;
use std::fs;

use crate::common::{Folder, pictures, small_config, train};
use crate::json::{self, Value};
use mnist_mlp::config::Config;
use mnist_mlp::data::{Data, Dataset};
use mnist_mlp::math::kernel::Kernel;
use mnist_mlp::math::rng::{Purpose, Rng};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::output::report::{Report, base64};
use mnist_mlp::output::weights;
use mnist_mlp::session;
use mnist_mlp::training::Trained;

// ---- Tools -------------------------------------------------------------------------------------------------------

const DATA_START: &str = r#"<script type="application/json" id="data">"#;

/// A network that was never trained, with what it makes of the test images.
fn untrained(widths: &[usize], test: &Dataset, seed: u64) -> Trained {
    let mut rng = Rng::new(seed, Purpose::Initialisation);
    let mut network = Network::new(widths, Activation::Sigmoid, Initialisation::Xavier, &mut rng, Kernel::best());
    // Larger, so that it is surer of some images than of others.
    for layer in &mut network.layers {
        layer.weight.data_mut().iter_mut().for_each(|weight| *weight *= 3.0);
    }
    let test_probabilities = network.predict(&test.images, 1);
    Trained { network, history: vec![], train_accuracy: 0.5, test_probabilities }
}

/// The page of a run, without what only one test is about.
fn page(test: &Dataset, trained: &Trained) -> String {
    report(test, trained).html()
}

fn report<'a>(test: &'a Dataset, trained: &'a Trained) -> Report<'a> {
    Report { config: &[], accuracies: &[], class_names: &[], curves: "", weights: b"weights", test, trained }
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

fn pairs<'b>(value: &'b Value) -> Vec<(&'b str, &'b str)> {
    items(value).iter().map(|pair| (text(&items(pair)[0]), text(&items(pair)[1]))).collect()
}

/// Base64 by its definition: six bits a digit, then whole bytes of them.
fn unbase64(text: &str) -> Vec<u8> {
    let digits = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect::<Vec<_>>();
    let bits: Vec<u8> = text
        .trim_end_matches('=')
        .chars()
        .map(|c| digits.iter().position(|&digit| digit == c).unwrap_or_else(|| panic!("{c} is no digit")))
        .flat_map(|digit| (0..6).rev().map(move |bit| (digit >> bit & 1) as u8))
        .collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

// ---- Base64 ------------------------------------------------------------------------------------------------------

#[test]
fn base64_gives_the_vectors_of_rfc_4648() {
    let vectors = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];
    for (bytes, expected) in vectors {
        assert_eq!(base64(bytes.as_bytes()), expected);
    }
    assert_eq!(base64(&[0xfb, 0xef, 0xbe, 0xff, 0xff, 0xff]), "++++////");
}

// ---- The page ----------------------------------------------------------------------------------------------------

#[test]
fn no_text_of_a_run_changes_the_page_around_it() {
    let test = pictures(3, 4, 5, 3);
    let trained = untrained(&[20, 3], &test, 1);
    let evil = "</script><script>alert(1)</script><!--DATA--><!--SCRIPTS-->\"\\\n\u{2028}é";
    let class_names = [evil, "b", "c"];
    let evil_report = Report {
        config: &[("learning_rate", evil.to_string())],
        accuracies: &[(evil, "0.5 ± 0.1".into())],
        class_names: &class_names,
        curves: "<svg><!--DATA--></svg>", // looks like a place to fill, and is none
        ..report(&test, &trained)
    };
    let (html, plain) = (evil_report.html(), page(&test, &trained));
    let data = json::parse(embedded(&html)).unwrap();
    assert_eq!(pairs(member(&data, "config")), [("learning rate", evil)]);
    assert_eq!(pairs(member(&data, "accuracies")), [(evil, "0.5 ± 0.1")]);
    assert_eq!(items(member(&data, "class_names")).iter().map(text).collect::<Vec<_>>(), class_names);
    assert_eq!(
        html.replace(embedded(&html), "").replace("<svg><!--DATA--></svg>", ""),
        plain.replace(embedded(&plain), "")
    );
    assert!(!embedded(&html).contains('<') && !plain.contains("<!--DATA-->") && !plain.contains("<!--SCRIPTS-->"));
    assert_eq!((plain.matches("</script>").count(), plain.matches("</style>").count()), (4, 1));
}

/// Whether the page's data says what the network and the test images say.
fn agrees(test: &Dataset, trained: &Trained) {
    let html = page(test, trained);
    let data = json::parse(embedded(&html)).unwrap();
    let (images, probabilities) = (&test.images, &trained.test_probabilities);
    let classes = probabilities.columns();
    assert_eq!(number::<usize>(member(&data, "rows")), images.rows);
    assert_eq!(number::<usize>(member(&data, "columns")), images.columns);
    assert_eq!(number::<usize>(member(&data, "classes")), classes);

    assert_eq!(unbase64(text(member(&data, "weights"))), b"weights");

    // What a reader of the probabilities finds, counted by hand.
    let predictions: Vec<usize> = (0..images.len())
        .map(|i| {
            (0..classes).rev().max_by(|&a, &b| probabilities.row(i)[a].total_cmp(&probabilities.row(i)[b])).unwrap()
        })
        .collect();
    let confusion = items(member(&data, "confusion"));
    assert_eq!(confusion.len(), classes);
    for (truth, row) in confusion.iter().enumerate() {
        assert_eq!(items(row).len(), classes);
        for (prediction, count) in items(row).iter().enumerate() {
            let expected =
                (0..images.len()).filter(|&i| test.labels[i] as usize == truth && predictions[i] == prediction);
            assert_eq!(number::<usize>(count), expected.count(), "{truth} as {prediction}");
        }
    }

    let wrong = (0..images.len()).filter(|&i| predictions[i] != test.labels[i] as usize);
    let mut surest: Vec<(f32, usize)> = wrong.map(|i| (probabilities.row(i)[predictions[i]], i)).collect();
    surest.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mistakes = items(member(&data, "mistakes"));
    assert_eq!(mistakes.len(), surest.len().min(40));
    for (mistake, (probability, i)) in mistakes.iter().zip(surest) {
        assert_eq!(number::<usize>(member(mistake, "index")), i);
        assert_eq!(number::<usize>(member(mistake, "truth")), test.labels[i] as usize);
        assert_eq!(number::<usize>(member(mistake, "prediction")), predictions[i]);
        assert_eq!(number::<f32>(member(mistake, "probability")), probability);
        assert_eq!(unbase64(text(member(mistake, "pixels"))), images.image(i));
    }

    let samples = member(&data, "samples");
    let count = images.len().min(200);
    assert_eq!(unbase64(text(member(samples, "pixels"))), images.pixels[..count * images.size()]);
    let rows = items(member(samples, "probabilities"));
    assert_eq!(rows.len(), count);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(items(row).iter().map(number::<f32>).collect::<Vec<_>>(), probabilities.row(i));
    }
}

#[test]
fn the_page_s_data_agrees_with_the_network() {
    for (count, rows, columns, widths) in
        [(300, 4, 5, &[20, 7, 6, 4][..]), (199, 1, 3, &[3, 2]), (200, 2, 2, &[4, 5, 11]), (1, 3, 2, &[6, 3])]
    {
        let test = pictures(count, rows, columns, widths[widths.len() - 1]);
        agrees(&test, &untrained(widths, &test, 3));
    }
    // Nothing is wrong: there are no mistakes to show.
    let mut test = pictures(50, 2, 3, 3);
    let trained = untrained(&[6, 3], &test, 3);
    test.labels = (0..50).map(|i| mnist_mlp::network::argmax(trained.test_probabilities.row(i))).collect();
    agrees(&test, &trained);
}

#[test]
fn the_page_stays_small_whatever_the_images_and_classes() {
    for (count, side, classes, bound) in [(2000, 28, 10, 450_000), (500, 28, 256, 1_200_000), (100, 200, 2, 1_200_000)]
    {
        let test = pictures(count, side, side, classes);
        let trained = untrained(&[side * side, 2, classes], &test, 1);
        let html = page(&test, &trained);
        assert!(html.len() < bound, "{} bytes beside the weights and the curves", html.len());
    }
}

// ---- A run -------------------------------------------------------------------------------------------------------

fn config() -> Config {
    Config { classes: 3, dropout: 0.0, weight_decay: 1e-5, batch_size: 4, ..small_config() }
}

fn data() -> Data {
    Data { train: pictures(40, 3, 4, 3), test: pictures(25, 3, 4, 3) }
}

#[test]
fn a_run_leaves_its_four_files() {
    let (folder, data) = (Folder::new("run"), data());
    let config = Config { output: folder.0.clone(), ..config() };
    let trained = train(&config, &data, Kernel::best()).unwrap();
    assert_eq!(trained.test_probabilities, trained.network.predict(&data.test.images, 1));
    session::save(&config, &data, &trained).unwrap();
    let mut names: Vec<_> = fs::read_dir(&config.output).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["curves.svg", "history.csv", "model.safetensors", "report.html"]);

    let path = config.output.join("model.safetensors");
    let model = weights::read(&path, Kernel::best()).unwrap();
    assert_eq!((&model.network, model.image_size), (&trained.network, Some((3, 4))));

    // Both the weights file and the page tell the whole configuration and the accuracies.
    let facts: Vec<_> = config.fields().into_iter().chain(session::accuracies(&data, &trained)).collect();
    let named = |separator: &str| -> BTreeMap<String, String> {
        facts.iter().map(|(name, text)| (name.replace(['_', ' '], separator), text.clone())).collect()
    };
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = json::parse(std::str::from_utf8(&bytes[8..8 + length]).unwrap()).unwrap();
    let Value::Object(metadata) = member(&header, "__metadata__") else { panic!("no metadata") };
    let mut written: BTreeMap<_, _> = metadata.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
    assert_eq!([written.remove("rows"), written.remove("columns")], [Some("3".into()), Some("4".into())]);
    assert_eq!(written, named("_"));

    let html = fs::read_to_string(config.output.join("report.html")).unwrap();
    assert!(html.contains(&fs::read_to_string(config.output.join("curves.svg")).unwrap()));
    let page = json::parse(embedded(&html)).unwrap();
    let shown = [pairs(member(&page, "config")), pairs(member(&page, "accuracies"))].concat();
    let shown: BTreeMap<_, _> = shown.into_iter().map(|(name, text)| (name.into(), text.into())).collect();
    assert_eq!(shown, named(" "));
    assert_eq!(unbase64(text(member(&page, "weights"))), bytes);
}
