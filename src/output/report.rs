//! `report.html`: one page with the run's results and a canvas to draw on, which needs nothing but itself.
//!
//! The page lies in `report/`; here it gets its style, its script and its data, as JSON that the script reads.

use crate::data::Dataset;
use crate::network::{argmax, confusion};
use crate::output::json::quote;
use crate::training::Trained;

const PAGE: &str = include_str!("report/report.html");
const STYLE: &str = include_str!("report/report.css");
const SCRIPT: &str = include_str!("report/report.js");

/// The most mistakes that are shown.
const MISTAKES: usize = 40;
/// The test images that the page's own predictions are compared on.
const SAMPLES: usize = 200;

/// The page, with the run's configuration and accuracies as names and texts, its curves as SVG, and the test images.
pub fn html(
    config: &[(&str, String)],
    accuracies: &[(&str, String)],
    curves: &str,
    test: &Dataset,
    trained: &Trained,
) -> String {
    // No `<` of a text may end the script element.
    let data = data(config, accuracies, test, trained).replace('<', "\\u003c");
    let parts = [
        ("<!--STYLE-->", ["<style>", STYLE, "</style>"]),
        ("<!--CURVES-->", ["", curves, ""]),
        ("<!--DATA-->", [r#"<script type="application/json" id="data">"#, &data, "</script>"]),
        ("<!--SCRIPT-->", ["<script>", SCRIPT, "</script>"]),
    ];
    // In the page's order, so that no part is searched for the next one's mark.
    let (mut html, mut rest) = (String::new(), PAGE);
    for (mark, part) in parts {
        let (before, after) = rest.split_once(mark).unwrap_or((rest, ""));
        html += before;
        html.extend(part);
        rest = after;
    }
    html + rest
}

/// One JSON object, whose members report.js reads by name.
fn data(config: &[(&str, String)], accuracies: &[(&str, String)], test: &Dataset, trained: &Trained) -> String {
    let pairs = |pairs: &[(&str, String)]| {
        array(pairs.iter().map(|(name, text)| format!("[{},{}]", quote(&name.replace('_', " ")), quote(text))))
    };
    let (probabilities, layers, images) = (&trained.test_probabilities, &trained.network.layers, &test.images);
    let mut mistakes: Vec<(usize, u8, f32)> = (0..test.labels.len())
        .map(|i| (i, argmax(probabilities.row(i))))
        .filter(|&(i, prediction)| prediction != test.labels[i])
        .map(|(i, prediction)| (i, prediction, probabilities.row(i)[usize::from(prediction)]))
        .collect();
    mistakes.sort_by(|a, b| b.2.total_cmp(&a.2));
    let mistakes = array(mistakes.into_iter().take(MISTAKES).map(|(i, prediction, probability)| {
        format!(
            r#"{{"index":{i},"truth":{},"prediction":{prediction},"probability":{probability},"pixels":"{}"}}"#,
            test.labels[i],
            base64(images.image(i))
        )
    }));
    let samples = images.len().min(SAMPLES);
    let weights: Vec<u8> = layers
        .iter()
        .flat_map(|layer| layer.weight.data().iter().chain(&layer.bias))
        .flat_map(|number| number.to_le_bytes())
        .collect();
    let members =
        [
            ("config", pairs(config)),
            ("accuracies", pairs(accuracies)),
            ("rows", images.rows.to_string()),
            ("columns", images.columns.to_string()),
            ("classes", probabilities.columns().to_string()),
            ("confusion", array(confusion(probabilities, &test.labels).into_iter().map(array))),
            ("mistakes", mistakes),
            (
                "samples",
                format!(
                    r#"{{"pixels":"{}","probabilities":{}}}"#,
                    base64(&images.pixels[..samples * images.size()]),
                    array((0..samples).map(|i| array(probabilities.row(i))))
                ),
            ),
            (
                "layers",
                array(layers.iter().map(|layer| {
                    format!(r#"{{"fan_in":{},"fan_out":{}}}"#, layer.weight.rows(), layer.weight.columns())
                })),
            ),
            ("weights", format!("\"{}\"", base64(&weights))),
        ];
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
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
