//! `report.html`: one page with the run's results and a canvas to draw on, which needs nothing but
//! itself.
//!
//! The page lies in `report/`; here it gets its style, its scripts and its data, as JSON that the
//! scripts read.

use crate::config::Config;
use crate::data::{Data, Dataset};
use crate::metrics::{argmax, confusion};
use crate::output::doubt::Doubt;
use crate::output::json::quote;
use crate::output::weights;
use crate::training::Trained;

const PAGE: &str = include_str!("report/report.html");
const STYLE: &str = include_str!("report/report.css");
const SCRIPTS: [&str; 7] = [
    include_str!("report/network.js"),
    include_str!("report/drawing.js"),
    include_str!("report/picture.js"),
    include_str!("report/doubt.js"),
    include_str!("report/several.js"),
    include_str!("report/sections.js"),
    include_str!("report/page.js"),
];

/// The most mistakes that are shown.
const MISTAKES: usize = 40;
/// The most test images that the page's own predictions are compared on.
const SAMPLES: usize = 200;
/// The most bytes of the page that either may take: with large images or many classes there are
/// fewer.
const MOST_BYTES: usize = 500_000;
/// The most bytes of all data: with the page around it, it stays under 3 MB. A larger network is
/// left out, and the page asks for the file of its weights.
const MOST_DATA: usize = 2_900_000;

/// The page of a run of `config` with these `accuracies`, names and texts. It has the accuracy
/// `curves`, as SVG, the bytes of the `weights_file` if they fit, from which it reads the network,
/// what the `trained` network makes of the test images of `data`, what tells images unlike its
/// training images, and training images as
/// [`Deformer::examples`](crate::data::deformation::Deformer::examples) has them, or none.
pub fn html(
    config: &Config,
    accuracies: &[(&str, String)],
    curves: &str,
    weights_file: &[u8],
    data: &Data,
    examples: &[Vec<Vec<u8>>],
    trained: &Trained,
) -> String {
    let pairs =
        |pairs: &[(&str, String)]| {
            array(pairs.iter().map(|(name, text)| {
                format!("[{},{}]", quote(&name.replace('_', " ")), quote(text))
            }))
        };
    let Dataset { images, labels } = &data.test;
    let probabilities = &trained.test_probabilities;
    let probability = |i: usize| probabilities.row(i)[usize::from(argmax(probabilities.row(i)))];
    let mut mistakes: Vec<usize> =
        (0..labels.len()).filter(|&i| argmax(probabilities.row(i)) != labels[i]).collect();
    mistakes.sort_by(|&a, &b| probability(b).total_cmp(&probability(a)));
    mistakes.truncate(most(MISTAKES, images.size()));
    let mistakes = array(mistakes.into_iter().map(|i| {
        let truth = labels[i];
        let prediction = argmax(probabilities.row(i));
        let pixels = base64(images.image(i));
        let probability = probability(i);
        format!(
            "{{\"index\":{i},\"truth\":{truth},\"prediction\":{prediction},\
             \"probability\":{probability},\"pixels\":\"{pixels}\"}}"
        )
    }));
    let samples = most(SAMPLES, images.size() + 10 * probabilities.columns()).min(images.count());
    let pixels = base64(&images.pixels[..samples * images.size()]);
    let samples = array((0..samples).map(|i| array(probabilities.row(i))));
    // The script page.js reads these by name.
    let mut members = vec![
        ("config", pairs(&config.shown())),
        ("accuracies", pairs(accuracies)),
        ("tested_on", quote(config.tested_on())),
        ("class_names", array(config.class_names.iter().map(|name| quote(name)))),
        ("rows", images.rows.to_string()),
        ("columns", images.columns.to_string()),
        ("classes", probabilities.columns().to_string()),
        ("confusion", array(confusion(probabilities, labels).into_iter().map(array))),
        ("mistakes", mistakes),
        ("samples", format!(r#"{{"pixels":"{pixels}","probabilities":{samples}}}"#)),
        (
            "examples",
            array(examples.iter().map(|row| array(row.iter().map(|image| quote(&base64(image)))))),
        ),
    ];
    if let Some(doubt) = Doubt::new(&data.train, &trained.network, config.seed) {
        members.push(("doubt", doubt_json(&doubt)));
    }
    let room = MOST_DATA.saturating_sub(members.iter().map(|(_, value)| value.len()).sum());
    let fits = weights_file.len().div_ceil(3) * 4 <= room;
    members.push(("weights", quote(&base64(if fits { weights_file } else { b"" }))));
    let data: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    // No `<` of a text may end the script element.
    fill(curves, &format!("{{{}}}", data.join(",")).replace('<', "\\u003c"))
}

/// The floats as base64 of their bytes, little-endian; the network as base64 of its weights file.
fn doubt_json(Doubt { scales, network, limit }: &Doubt) -> String {
    let scales = scales
        .each_ref()
        .map(|numbers| base64(&numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()));
    let weights = base64(&weights::encode(network, (1, network.widths()[0]), &[]));
    format!(r#"{{"scales":{scales:?},"weights":"{weights}","limit":{limit}}}"#)
}

/// The page with its parts in their places.
fn fill(curves: &str, data: &str) -> String {
    let parts = [
        ("<!--STYLE-->", format!("<style>{STYLE}</style>")),
        ("<!--CURVES-->", curves.to_string()),
        ("<!--DATA-->", format!(r#"<script type="application/json" id="data">{data}</script>"#)),
        ("<!--SCRIPTS-->", SCRIPTS.map(|script| format!("<script>{script}</script>")).join("\n")),
    ];
    // In the page's order, so that no part is searched for the next one's mark.
    let mut html = String::new();
    let mut rest = PAGE;
    for (mark, part) in parts {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        html = html + before + &part;
        rest = after;
    }
    html + rest
}

/// At most `count` items, of `bytes` bytes before base64 or as text, and at least one.
fn most(count: usize, bytes: usize) -> usize {
    count.min(MOST_BYTES * 3 / 4 / bytes).max(1)
}

/// A JSON array of what already is JSON as it is printed.
fn array(items: impl IntoIterator<Item: ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(","))
}

/// Base64 (RFC 4648 §4).
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(*group.get(i).unwrap_or(&0)));
        for digit in 0..4 {
            let index = bits >> (18 - 6 * digit) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}
