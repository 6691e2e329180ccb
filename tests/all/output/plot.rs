//! Figures, seen from outside: whatever goes in, a reader gets well-formed SVG with everything on
//! the card.

use mnist_mlp::output::plot::{Figure, Line};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// An element's name, attributes and text, and how many elements it lies in.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    depth: usize,
}

impl Element {
    fn number(&self, key: &str) -> f64 {
        self.attributes[key].parse().expect("a number")
    }

    /// The (x, y) that it draws at.
    fn points(&self) -> Vec<(f64, f64)> {
        let path = self.attributes.get("d").map_or("", String::as_str);
        let numbers = path
            .split(['M', 'L', 'Z', ' '])
            .filter(|n| !n.is_empty())
            .map(|n| n.parse().expect("a number"));
        let mut points: Vec<_> =
            numbers.collect::<Vec<f64>>().chunks(2).map(|pair| (pair[0], pair[1])).collect();
        for (x, y) in [("x", "y"), ("cx", "cy")] {
            points
                .extend(self.attributes.contains_key(x).then(|| (self.number(x), self.number(y))));
        }
        points
    }
}

/// The elements of `svg`; a panic if it is not well-formed. Covers only the part of XML that
/// figures use.
fn parse(svg: &str) -> Vec<Element> {
    let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag that ends");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        assert!(
            text.split('&')
                .skip(1)
                .all(|entity| entity.starts_with("amp;") || entity.starts_with("lt;"))
        );
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(elements[open.pop().expect("an open element")].name, name);
            continue;
        }
        let (name, rest) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag, ""));
        let mut attributes = BTreeMap::new();
        let mut parts = rest.split('\'');
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            let key = key.strip_suffix('=').expect("name='value'").trim();
            assert!(
                !value.contains('&')
                    && attributes.insert(key.to_string(), value.to_string()).is_none(),
                "{key}"
            );
        }
        elements.push(Element {
            name: name.into(),
            attributes,
            text: text.into(),
            depth: open.len(),
        });
        if !tag.ends_with('/') {
            open.push(elements.len() - 1);
        }
    }
    assert!(open.is_empty());
    elements
}

/// The inner element that cuts off what lies beyond the axes, and the lines and dots in it.
fn drawn(figure: &Figure) -> (Element, Vec<Element>) {
    let mut elements = parse(&figure.svg());
    let inner = elements.iter().rposition(|e| e.name == "svg").expect("an inner svg element");
    let lines = elements
        .split_off(inner + 1)
        .into_iter()
        .filter(|e| e.attributes.contains_key("stroke-width"));
    (elements.remove(inner), lines.collect())
}

/// The labels of the y axis, or of the x axis.
fn ticks(figure: &Figure, anchor: &str) -> Vec<(f64, (f64, f64))> {
    let labels = parse(&figure.svg()).into_iter().filter(|e| {
        e.attributes.get("text-anchor").is_some_and(|of| of == anchor)
            && e.attributes["fill"] == "#59636e"
    });
    let number = |text: &str| text.trim().parse::<f64>().expect("a number");
    let ticks: Vec<_> = labels.map(|e| (number(&e.text), e.points()[0])).collect();
    assert!(ticks.iter().all(|tick| tick.0.to_bits() != (-0.0_f64).to_bits()), "a tick at -0");
    ticks
}

fn accuracy(accuracies: &[f64]) -> Figure {
    let line = Line { accuracies: accuracies.to_vec(), ..Line::default() };
    Figure { y_bounds: (0.0, 1.0), lines: vec![line], ..Figure::default() }
}

prop_compose! {
    /// Any words, any values of training that went well or badly.
    fn figure()(
        words in prop::collection::vec(
            prop::sample::select(vec!["", "Xavier <&>\"'\0\n", "±§🎉"]), 6,
        ),
        low in prop::sample::select(vec![0.0, 0.9]),
        lines in prop::collection::vec(
            (any::<bool>(), prop::collection::vec((0.0..1.0, deviation()), 0..12)), 0..10,
        ),
    ) -> Figure {
        let line = |(i, (dashed, values)): (usize, (bool, Vec<(f64, f64)>))| {
            let (accuracies, deviations) = values.into_iter().unzip();
            Line { name: format!("{} {}", words[i % 6], i / 2), dashed, accuracies, deviations }
        };
        let lines = lines.into_iter().enumerate().map(line).collect();
        Figure { title: words[0].to_string(), y_bounds: (low, 1.0), lines }
    }
}

fn deviation() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..0.5, 4 => 0.0..0.01, 1 => Just(f64::NAN)]
}

proptest! {
    #[test]
    fn any_figure_is_well_formed_on_its_card_and_has_a_dark_counterpart(figure in figure()) {
        let svg = figure.svg();
        prop_assert_eq!(&svg, &figure.clone().svg());
        let elements = parse(&svg);
        let width = elements[0].number("width");
        let height = elements[0].number("height");
        let style = elements.iter().find(|e| e.name == "style").expect("a style");
        for element in &elements {
            for (x, y) in element.points().into_iter().filter(|_| element.depth == 1) {
                let is_inside = (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
                prop_assert!(is_inside, "{:?}", element);
            }
            for (key, value) in &element.attributes {
                prop_assert!(!value.contains("NaN") && !value.contains("inf"), "{:?}", element);
                if (key == "fill" || key == "stroke") && value != "none" {
                    let rule = format!("[{key}='{value}']{{{key}:#");
                    prop_assert!(style.text.contains(&rule), "{} {}", key, value);
                }
            }
        }
    }

    #[test]
    fn a_point_lies_where_the_ticks_say(
        ys in prop::collection::vec(0.0..1.0, 1..20), narrow in 0..4,
    ) {
        let ys: Vec<f64> = ys.iter().map(|y| 1.0 - y / 10_f64.powi(narrow)).collect();
        let figure = accuracy(&ys);
        let ticks = ticks(&figure, "end");
        let (low, bottom) = ticks[0];
        let (high, top) = ticks[ticks.len() - 1];
        let step = ticks[1].0 - ticks[0].0;
        let mut steps = ticks.windows(2).map(|pair| pair[1].0 - pair[0].0);
        prop_assert!(ticks.len() <= 10 && steps.all(|found| (found - step).abs() < 1e-9));
        let (inner, lines) = drawn(&figure);
        let placed: Vec<_> = lines.iter().flat_map(Element::points).collect();
        prop_assert_eq!(placed.len(), ys.len());
        for (y, (_, place)) in ys.iter().zip(placed) {
            prop_assert!((low..=high).contains(y));
            let expected = bottom.1 + (y - low) / (high - low) * (top.1 - bottom.1);
            let place = place + inner.number("y") + 4.5; // a label's baseline is below its middle
            prop_assert!((place - expected).abs() < 0.2, "{} at {}, not {}", y, place, expected);
        }
    }

    #[test]
    fn the_x_axis_has_few_and_whole_ticks(epochs in prop_oneof![1..30_usize, 1..3000_usize]) {
        let ticks = ticks(&accuracy(&vec![0.5; epochs]), "middle");
        prop_assert!((1..=11).contains(&ticks.len()), "{:?}", ticks);
        let within = |tick: f64| tick.fract() == 0.0 && (1.0..=epochs as f64).contains(&tick);
        prop_assert!(ticks.iter().all(|tick| within(tick.0)), "{:?}", ticks);
    }
}

#[test]
fn one_epoch_is_a_dot_full_or_hollow() {
    let mut figure = accuracy(&[0.95]);
    let dot = |figure: &Figure| drawn(figure).1.remove(0);
    assert_eq!((dot(&figure).name.as_str(), ticks(&figure, "middle")[0].0), ("circle", 1.0));
    assert_eq!(dot(&figure).attributes["fill"], dot(&figure).attributes["stroke"]);
    figure.lines[0].dashed = true;
    assert_eq!(dot(&figure).attributes["fill"], "#ffffff");
    figure.lines[0].accuracies.push(0.96);
    assert!(dot(&figure).attributes.contains_key("stroke-dasharray"));
    figure.lines[0].dashed = false;
    assert!(!dot(&figure).attributes.contains_key("stroke-dasharray"));
}

#[test]
fn a_band_reaches_as_far_below_its_line_as_above() {
    let mut figure = accuracy(&[0.5, 0.6]);
    figure.lines[0].deviations = vec![0.1, 0.05];
    let elements = parse(&figure.svg());
    let band =
        elements.iter().find(|e| e.attributes.contains_key("fill-opacity")).unwrap().points();
    for (i, (x, y)) in drawn(&figure).1[0].points().into_iter().enumerate() {
        let lower = band[i];
        let upper = band[3 - i];
        assert!(
            lower.0 == x
                && upper.0 == x
                && upper.1 < y
                && (lower.1 + upper.1 - 2.0 * y).abs() < 0.3,
            "{band:?}"
        );
    }
}

#[test]
fn what_lies_beyond_the_bounds_is_cut_off_at_the_axis() {
    let mut figure = accuracy(&[0.0, 1.0, 0.5]);
    figure.y_bounds = (0.5, 1.0);
    let (inner, lines) = drawn(&figure);
    let height = inner.number("height");
    let points = lines[0].points();
    assert!(points[0].1 > height, "cut off: {points:?} in {height}");
    assert_eq!(
        (points[1].1, points[2].1),
        (1.0, height - 1.0),
        "the line's whole width at both ends of the axis"
    );
}

#[test]
fn the_legend_explains_each_colour_and_each_stroke_once() {
    const BAND: &str = "± one standard deviation over the seeds";
    let names = ["Constant", "Step", "Cosine", "Cycle", "Other"];
    let line = |name: &str, dashed| Line { name: name.to_string(), dashed, ..Line::default() };
    let lines = names.iter().flat_map(|name| [line(name, true), line(name, false)]).collect();
    let svg = parse(&Figure { lines, ..accuracy(&[]) }.svg());
    let words: Vec<_> =
        svg.iter().filter(|e| e.name == "text").map(|e| e.text.trim_end()).collect();
    assert_eq!(
        words[1..9],
        ["Constant", "Step", "Cosine", "Cycle", "Other", "test", "train (running)", BAND]
    );
    let samples: Vec<_> = svg
        .iter()
        .filter(|e| e.attributes.contains_key("stroke-width") && e.name == "path")
        .collect();
    let colours: BTreeSet<_> = samples.iter().map(|e| &e.attributes["stroke"]).collect();
    assert_eq!(
        (samples.len(), colours.len()),
        (7, 6),
        "five colours, and grey for the two strokes"
    );
    let dashed = samples.iter().map(|e| e.attributes.contains_key("stroke-dasharray"));
    assert!(dashed.eq((0..7).map(|i| i == 6)), "the last, train (running), is dashed");
}
