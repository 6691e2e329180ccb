//! Figures, seen from outside: whatever goes in, a reader gets well-formed SVG with everything on the card.

use mnist_mlp::output::plot::{Figure, Line};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// An element's name, attributes and text.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

/// The elements of `svg`; a panic if it is not well-formed. Covers only the part of XML that figures use.
fn parse(svg: &str) -> Vec<Element> {
    let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').expect("a tag that ends");
        assert!(!text.contains('>') && !text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        for entity in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;"].iter().any(|known| entity.starts_with(known)), "&{entity}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(elements[open.pop().expect("an open element")].name, name);
            continue;
        }
        let (name, rest) = tag.trim_end_matches('/').split_once(' ').unwrap_or((tag, ""));
        let mut attributes = BTreeMap::new();
        let mut parts = rest.split('\'');
        while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
            let key = key.strip_suffix('=').expect("name='value'").trim();
            assert!(!value.contains('&') && attributes.insert(key.to_string(), value.to_string()).is_none(), "{key}");
        }
        if !tag.ends_with('/') {
            open.push(elements.len());
        }
        elements.push(Element { name: name.to_string(), attributes, text: text.to_string() });
    }
    assert!(open.is_empty() && svg.starts_with("<svg xmlns='http://www.w3.org/2000/svg' role='img' "));
    elements
}

/// The (x, y) that an element draws at.
fn coordinates(element: &Element) -> Vec<(f64, f64)> {
    let number = |key: &str| element.attributes.get(key).map(|value| value.parse::<f64>().expect("a number"));
    let path = element.attributes.get("d").map_or("", String::as_str);
    let numbers: Vec<f64> =
        path.split(['M', 'L', 'Z', ' ']).filter(|n| !n.is_empty()).map(|n| n.parse().expect("a number")).collect();
    let mut all: Vec<_> = numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    all.extend(number("cx").zip(number("cy")));
    all.extend(number("x").zip(number("y")));
    all
}

/// The coloured lines and dots, without what the legend shows.
fn drawn(figure: &Figure) -> Vec<Element> {
    let bare = Figure {
        lines: figure.lines.iter().map(|l| Line { name: String::new(), ..l.clone() }).collect(),
        ..figure.clone()
    };
    let coloured = |e: &Element| e.attributes.contains_key("stroke-width");
    parse(&bare.svg()).into_iter().filter(coloured).collect()
}

fn texts(figure: &Figure) -> Vec<String> {
    parse(&figure.svg()).into_iter().filter(|e| e.name == "text").map(|e| e.text.trim_end().to_string()).collect()
}

fn accuracy(points: &[(f64, f64)]) -> Figure {
    let line = Line { points: points.to_vec(), ..Line::default() };
    Figure { y_bounds: Some((0.0, 1.0)), lines: vec![line], ..Figure::default() }
}

fn value() -> impl Strategy<Value = f64> {
    use prop::num::f64::ANY;
    prop_oneof![ANY, 0.0..1.0, (0..400).prop_map(f64::from), Just(0.98), Just(f64::NAN), Just(f64::INFINITY)]
}

fn words() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        prop::char::range('a', 'z'),
        prop::sample::select(vec!['<', '>', '&', '"', '\'', ' ', '\n', '\0', '\u{ffff}', '🎉', 'W'])
    ];
    prop::collection::vec(character, 0..120).prop_map(String::from_iter)
}

fn figure() -> impl Strategy<Value = Figure> {
    let pairs = || prop::collection::vec((value(), value()), 0..12);
    let line = (words(), any::<bool>(), pairs(), pairs());
    let line = line.prop_map(|(name, dashed, points, band)| Line { name, dashed, points, band });
    let lines = prop::collection::vec(line, 0..10);
    ([words(), words(), words(), words(), words(), words()], prop::option::of((value(), value())), lines).prop_map(
        |([title, x_label, y_label, solid, dashed, band], y_bounds, lines)| Figure {
            title,
            x_label,
            y_label,
            y_bounds,
            solid,
            dashed,
            band,
            lines,
        },
    )
}

proptest! {
    #[test]
    fn any_figure_is_well_formed_on_its_card_and_repeatable(figure in figure()) {
        let svg = figure.svg();
        prop_assert_eq!(&svg, &figure.clone().svg());
        let elements = parse(&svg);
        let size = |key: &str| elements[0].attributes[key].parse::<f64>().expect("a number");
        let (width, height) = (size("width"), size("height"));
        prop_assert_eq!(&elements[0].attributes["viewBox"], &format!("0 0 {width} {height}"));
        prop_assert_eq!(&elements[1].name, "title");
        for element in &elements {
            for (x, y) in coordinates(element) {
                prop_assert!((0.0..=width).contains(&x) && (0.0..=height).contains(&y), "{:?}", element);
            }
            for value in element.attributes.values() {
                prop_assert!(!value.contains("NaN") && !value.contains("inf"), "{:?}", element);
            }
        }
    }

    /// A tick's label says where the tick is: labels and places are in proportion.
    #[test]
    fn a_point_lies_between_the_ticks_that_its_value_lies_between(ys in prop::collection::vec(0.0..1.0, 1..20)) {
        let points: Vec<_> = ys.iter().enumerate().map(|(x, &y)| (x as f64, y)).collect();
        let svg = parse(&accuracy(&points).svg());
        let labels = svg.iter().filter(|e| e.attributes.get("text-anchor").is_some_and(|anchor| anchor == "end"));
        let mut ticks: Vec<(f64, f64)> =
            labels.map(|e| (e.text.trim().parse().expect("a number"), coordinates(e)[0].1 - 4.5)).collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
        let placed = drawn(&accuracy(&points)).iter().flat_map(coordinates).collect::<Vec<_>>();
        prop_assert_eq!(placed.len(), ys.len());
        for (y, (_, place)) in ys.iter().zip(placed) {
            prop_assert!((low.0..=high.0).contains(y));
            let expected = low.1 + (y - low.0) / (high.0 - low.0) * (high.1 - low.1);
            prop_assert!((place - expected).abs() < 0.2, "{} at {}, not {}", y, place, expected);
        }
    }
}

#[test]
fn one_epoch_is_a_dot_full_or_hollow() {
    let mut figure = accuracy(&[(1.0, 0.95)]);
    let full = drawn(&figure);
    assert_eq!((full.len(), full[0].name.as_str()), (1, "circle"));
    assert_eq!(full[0].attributes["fill"], full[0].attributes["stroke"]);
    figure.lines[0].dashed = true;
    assert_eq!(drawn(&figure)[0].attributes["fill"], "#ffffff");
    assert!(texts(&figure).contains(&"1".to_string()), "the tick of the epoch");
}

#[test]
fn what_is_not_finite_interrupts_the_line() {
    let nan = f64::NAN;
    let points = [0.1, 0.2, nan, 0.3, f64::INFINITY, 0.4, 0.5, nan, nan].into_iter().enumerate();
    let points: Vec<_> = points.map(|(x, y)| (x as f64, y)).collect();
    let names: Vec<String> = drawn(&accuracy(&points)).into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["path", "circle", "path"]);
}

#[test]
fn lines_and_bands_are_cut_where_they_leave_the_bounds() {
    let mut figure = accuracy(&[(1.0, 0.0), (2.0, 1.0), (3.0, 1.0), (4.0, 0.0), (5.0, 0.0)]);
    let whole = coordinates(&drawn(&figure)[0]);
    figure.y_bounds = Some((0.5, 1.0));
    figure.lines[0].band = vec![(0.0, 0.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0)];
    let cut = coordinates(&drawn(&figure)[0]);
    let (left, step) = (cut[1].0, cut[2].0 - cut[1].0);
    assert_eq!(cut.len(), 4);
    assert!((left - cut[0].0 - step / 2.0).abs() < 0.2 && (cut[3].0 - cut[2].0 - step / 2.0).abs() < 0.2, "{cut:?}");
    assert_eq!((cut[0].1, cut[3].1), (whole[0].1, whole[0].1), "both reach the axis");
    let svg = parse(&figure.svg());
    let band = svg.iter().find(|e| e.attributes.contains_key("fill-opacity")).expect("a band");
    assert!(cut.iter().all(|point| coordinates(band).contains(point)), "{band:?}");
    assert!(coordinates(band).iter().all(|&(_, y)| y <= cut[0].1), "{band:?}");
}

#[test]
fn a_line_through_both_bounds_is_cut_in_drawing_order() {
    let mut figure = accuracy(&[(1.0, 0.0), (2.0, 1.0), (3.0, 0.0)]);
    figure.y_bounds = Some((0.4, 0.6));
    let parts: Vec<_> = drawn(&figure).iter().map(coordinates).collect();
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    let (up, down) = (&parts[0], &parts[1]);
    assert!(up[0].1 > up[1].1 && down[0].1 < down[1].1, "up, then down: {parts:?}");
    assert!(up[0].0 < up[1].0 && up[1].0 < down[0].0 && down[0].0 < down[1].0, "from left to right: {parts:?}");
}

#[test]
fn the_band_of_one_epoch_can_be_seen() {
    let mut figure = accuracy(&[(1.0, 0.95)]);
    figure.lines[0].band = vec![(0.94, 0.96)];
    let svg = parse(&figure.svg());
    let band = svg.iter().find(|e| e.attributes.contains_key("fill-opacity")).expect("a band");
    let corners = coordinates(band);
    assert!(corners[1].0 - corners[0].0 >= 2.0 && corners[0].1 - corners[3].1 >= 2.0, "{corners:?}");
}

#[test]
fn long_tick_labels_neither_touch_nor_leave_the_card() {
    for scale in [1.0, 1e-9, 1e-90, 1e90] {
        let svg = parse(&accuracy(&[(scale, 0.5), (1.00001 * scale, 0.6)]).svg());
        let labels = svg.iter().filter(|e| e.attributes.get("text-anchor").is_some_and(|anchor| anchor == "middle"));
        // A digit is 0.6 em wide or less in the usual fonts.
        let spans: Vec<_> =
            labels.map(|e| (coordinates(e)[0].0, 0.5 * 0.6 * 13.0 * e.text.trim().len() as f64)).collect();
        assert!(spans.len() >= 2, "{scale}: {spans:?}");
        assert!(spans.windows(2).all(|two| two[0].0 + two[0].1 < two[1].0 - two[1].1), "{scale}: {spans:?}");
        assert!(spans.iter().all(|(x, half)| x - half > 0.0 && x + half < 700.0), "{scale}: {spans:?}");
    }
}

#[test]
fn an_accuracy_axis_ends_at_one_and_all_equal_values_have_ticks() {
    for y in [0.0, 0.098, 0.98, 0.9999, 1.0] {
        let labels = texts(&accuracy(&[(1.0, y), (2.0, y)]));
        let numbers: Vec<f64> =
            labels.iter().filter(|l| l.contains('.')).map(|l| l.parse().expect("a number")).collect();
        assert!(numbers.len() >= 4 && numbers.iter().all(|n| (0.0..=1.0).contains(n)), "{y}: {numbers:?}");
    }
}

#[test]
fn the_legend_explains_each_colour_and_each_stroke_once() {
    let names = ["Constant", "Step", "Cosine", "Cycle", "Other"];
    let line = |name: &str, dashed| Line { name: name.to_string(), dashed, ..Line::default() };
    let lines = names.iter().flat_map(|name| [line(name, true), line(name, false)]).collect();
    let (solid, dashed, band) = ("test".to_string(), "train".to_string(), "all seeds".to_string());
    let figure = Figure { lines, solid, dashed, band, ..Figure::default() };
    let words = texts(&figure);
    assert_eq!(words[..8], ["Constant", "Step", "Cosine", "Cycle", "Other", "test", "train", "all seeds"]);
    let svg = parse(&figure.svg());
    let keys: Vec<_> = svg.iter().filter(|e| e.attributes.contains_key("stroke-width")).collect();
    let colours: std::collections::BTreeSet<_> = keys.iter().map(|e| &e.attributes["stroke"]).collect();
    assert_eq!((keys.len(), colours.len()), (7, 6), "five colours, and grey for the two strokes");
    assert_eq!(keys.iter().filter(|e| e.attributes.contains_key("stroke-dasharray")).count(), 1);
}

#[test]
fn long_titles_are_wrapped_and_long_names_shortened() {
    let mut figure = accuracy(&[(1.0, 0.5)]);
    figure.title = "seven words that are said again ".repeat(5);
    figure.lines[0].name = "W".repeat(200);
    figure.y_label = "y".repeat(200);
    let words = texts(&figure);
    let title = words.iter().take_while(|line| !line.contains('W')).cloned().collect::<Vec<_>>();
    assert_eq!(title.join(" "), figure.title.trim_end());
    assert!(title.iter().all(|line| line.len() < 70), "{title:?}");
    assert!(words.iter().any(|w| w.starts_with('W') && w.ends_with('…') && w.len() < 60), "{words:?}");
    assert!(words.iter().any(|w| w.starts_with('y') && w.ends_with('…') && w.len() < 60), "{words:?}");
}
