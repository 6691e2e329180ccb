//! Line figures as SVG text: named lines with bands, on axes with round ticks, above them a title and a legend.
//!
//! A figure is a light card of its own, so it reads the same on a dark page, and the same figure always gives the
//! same bytes. Nothing here knows what the lines mean.

/// The width of every figure in pixels; the height follows from the title and the legend.
const WIDTH: f64 = 700.0;
/// The height of the area between the axes.
const PLOT_HEIGHT: f64 = 320.0;
/// The space that text and axes keep from the card's border.
const MARGIN: f64 = 24.0;
/// How far the first and the last x keep from the sides, so that their markers are whole.
const INSET: f64 = 10.0;
const KEY_WIDTH: f64 = 28.0;
const TITLE_SIZE: f64 = 17.0;
/// How much wider the title is for its weight.
const BOLD: f64 = 1.13;
const TEXT_SIZE: f64 = 13.0;
const FONTS: &str = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif";
const INK: &str = "#24292f";
const GREY: &str = "#59636e";
const GRID: &str = "#e6e9ed";
/// Values of more than this size are not drawn, so that no arithmetic on the rest overflows.
const LARGEST: f64 = 1e100;

/// The palette of Okabe and Ito ("Color Universal Design", 2008), made to be told apart with any colour vision. Its
/// yellow is left out and the colours with the least contrast to white come last.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9"];

/// One figure. Texts may hold any characters; too long a title is wrapped, other texts are shortened.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// What the figure shows; also what a screen reader says.
    pub title: String,
    /// What is counted along the x axis. The ticks are whole numbers if every x is.
    pub x_label: String,
    /// What is measured along the y axis.
    pub y_label: String,
    /// The y axis follows the data but never goes beyond these (low, high): (0, 1) for an accuracy. Whatever lies
    /// beyond is cut off, so that (0.9, 1) shows only the top.
    pub y_bounds: Option<(f64, f64)>,
    /// What a solid line means, if the legend is to say it; empty if not.
    pub solid: String,
    /// What a dashed line means, if the legend is to say it; empty if not.
    pub dashed: String,
    /// What the bands mean, if the legend is to say it; empty if not.
    pub band: String,
    /// Later lines are drawn over earlier ones.
    pub lines: Vec<Line>,
}

/// One line of a figure.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Lines of one name share one colour and one entry of the legend. An eighth name gets the first colour again.
    pub name: String,
    /// Dashed or solid.
    pub dashed: bool,
    /// (x, y) in drawing order. A point that is not finite, or beyond ±1e100, interrupts the line; a point between
    /// two interruptions becomes a dot.
    pub points: Vec<(f64, f64)>,
    /// (low, high) around each of the points, drawn as a translucent band; empty for none.
    pub band: Vec<(f64, f64)>,
}

impl Figure {
    /// The figure as one SVG element, 700 pixels wide unless the page scales it.
    pub fn svg(&self) -> String {
        let title = wrap(&self.title, TITLE_SIZE * BOLD, WIDTH - 2.0 * MARGIN);
        let (legend, legend_end) = self.legend(MARGIN - 4.0 + 24.0 * title.len() as f64);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let xs: Vec<f64> = points().map(|point| point.0).filter(|&x| drawable(x)).collect();
        let bands = self.lines.iter().flat_map(Line::edges).flat_map(|(_, low, high)| [low, high]);
        let ys: Vec<f64> = points().map(|point| point.1).chain(bands).filter(|&y| drawable(y)).collect();
        let y_axis = Axis::loose(&ys, self.y_bounds);
        let (left, right) = (MARGIN + 24.0 + widest(&y_axis.ticks) + 8.0, WIDTH - MARGIN);
        let top = legend_end + 22.0;
        let bottom = top + PLOT_HEIGHT;
        let height = bottom + 44.0 + MARGIN;
        let x_axis = Axis::tight(&xs, right - left);
        let place_x = |x: f64| left + INSET + x_axis.fraction(x) * (right - left - 2.0 * INSET);
        let place_y = |y: f64| top + (1.0 - y_axis.fraction(y)) * PLOT_HEIGHT;

        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' role='img' width='{WIDTH:.0}' height='{height:.0}' \
             viewBox='0 0 {WIDTH:.0} {height:.0}' font-family='{FONTS}' font-size='{TEXT_SIZE}' fill='{INK}'>\n\
             <title>{}</title>\n\
             <rect x='0.5' y='0.5' width='{:.1}' height='{:.1}' rx='12' fill='#ffffff' stroke='#d0d7de'/>\n",
            escape(&self.title),
            WIDTH - 1.0,
            height - 1.0,
        );
        for (row, words) in title.iter().enumerate() {
            let style = format!(" font-size='{TITLE_SIZE}' font-weight='600'");
            svg += &text(MARGIN, MARGIN + 14.0 + 24.0 * row as f64, &style, words);
        }
        svg += &legend;
        for (y, label) in &y_axis.ticks {
            let y = place_y(*y);
            svg += &rule((left, y), (right, y), GRID);
            svg += &text(left - 8.0, y + 4.5, &format!(" text-anchor='end' fill='{GREY}'"), label);
        }
        for (x, label) in &x_axis.ticks {
            let x = place_x(*x);
            svg += &rule((x, top), (x, bottom), GRID);
            let x = x.min(WIDTH - 8.0 - text_width(label, TEXT_SIZE) / 2.0);
            svg += &text(x, bottom + 20.0, &format!(" text-anchor='middle' fill='{GREY}'"), label);
        }
        svg += &rule((left, bottom), (right, bottom), GREY);
        let words = shorten(&self.x_label, TEXT_SIZE, right - left);
        svg += &text((left + right) / 2.0, bottom + 44.0, " text-anchor='middle'", &words);
        let (x, y) = (MARGIN + 10.0, (top + bottom) / 2.0);
        let turned = format!(" text-anchor='middle' transform='rotate(-90 {x:.1} {y:.1})'");
        svg += &text(x, y, &turned, &shorten(&self.y_label, TEXT_SIZE, PLOT_HEIGHT));

        let names = self.names();
        for line in &self.lines {
            let edges: Vec<_> = line.edges().collect();
            for run in edges.split(|&(x, low, high)| !(drawable(x) && drawable(low) && drawable(high))) {
                let run: Vec<_> = run.iter().map(|&(x, low, high)| (place_x(x), place_y(low), place_y(high))).collect();
                svg += &band(&run, (top, bottom), colour(&names, &line.name));
            }
        }
        for line in &self.lines {
            for run in line.points.split(|&(x, y)| !(drawable(x) && drawable(y))) {
                let run: Vec<_> = run.iter().map(|&(x, y)| (place_x(x), place_y(y))).collect();
                for part in cut_at(&run, (top, bottom)).split(|&(_, y)| y < top || y > bottom) {
                    svg += &stroke(part, colour(&names, &line.name), line.dashed);
                }
            }
        }
        svg + "</svg>\n"
    }

    /// The names of the lines, each once, in order.
    fn names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for line in &self.lines {
            if !names.contains(&line.name.as_str()) {
                names.push(line.name.as_str());
            }
        }
        names
    }

    /// The legend below y = `top`, and where it ends. Colours and strokes are explained once each, in rows of their
    /// own: five names in two strokes need seven entries, not ten.
    fn legend(&self, top: f64) -> (String, f64) {
        let names = self.names();
        let colours = names.iter().map(|&name| {
            let dashed = self.lines.iter().filter(|line| line.name == name).all(|line| line.dashed);
            (name, colour(&names, name), if dashed { Key::Dashed } else { Key::Solid })
        });
        let strokes = [(&self.solid, Key::Solid), (&self.dashed, Key::Dashed), (&self.band, Key::Band)]
            .map(|(words, key)| (words.as_str(), GREY, key));
        let (mut svg, mut y) = (String::new(), top);
        for group in [colours.collect(), Vec::from(strokes)] {
            let mut x = WIDTH; // no room left: the group's first entry begins a row
            for (words, colour, key) in group.into_iter().filter(|entry| !entry.0.is_empty()) {
                let words = shorten(words, TEXT_SIZE, WIDTH - 2.0 * MARGIN - KEY_WIDTH - 8.0);
                let width = KEY_WIDTH + 8.0 + text_width(&words, TEXT_SIZE);
                if x + width > WIDTH - MARGIN {
                    (x, y) = (MARGIN, y + 22.0);
                }
                let middle = y - 4.5;
                svg += &match key {
                    Key::Band => {
                        let (low, high) = (middle + 6.0, middle - 6.0);
                        band(&[(x, low, high), (x + KEY_WIDTH, low, high)], (high, low), colour)
                    }
                    key => stroke(&[(x, middle), (x + KEY_WIDTH, middle)], colour, matches!(key, Key::Dashed)),
                };
                svg += &text(x + KEY_WIDTH + 8.0, y, "", &words);
                x += width + 20.0;
            }
        }
        (svg, y)
    }
}

impl Line {
    /// (x, low, high) of the band.
    fn edges(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.points.iter().zip(&self.band).map(|(point, band)| (point.0, band.0, band.1))
    }
}

/// What an entry of the legend shows before its words.
enum Key {
    Solid,
    Dashed,
    Band,
}

/// The range of an axis, and its ticks with their labels.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From the least value to the greatest, with no more ticks than have room on `pixels`.
    fn tight(values: &[f64], pixels: f64) -> Axis {
        let least_step = if values.iter().all(|value| value.fract() == 0.0) { 1.0 } else { 0.0 };
        let (low, high) = widened(extremes(values));
        let ticks = [10.0, 5.0, 2.0].map(|most| ticks(low, high, round_step((high - low) / most).max(least_step)));
        let fits = |ticks: &Vec<(f64, String)>| ticks.len() as f64 * (widest(ticks) + 14.0) <= pixels;
        Axis { low, high, ticks: ticks.into_iter().find(fits).unwrap_or_default() }
    }

    /// From the tick below the least value to the tick above the greatest, within the bounds.
    fn loose(values: &[f64], bounds: Option<(f64, f64)>) -> Axis {
        let bounds = bounds.map(|(low, high)| (low.max(-LARGEST), high.min(LARGEST)));
        let (floor, ceiling) = bounds.filter(|&bounds| is_wide(bounds)).unwrap_or((-LARGEST, LARGEST));
        let within = |value: f64| value.max(floor).min(ceiling);
        let (low, high) = extremes(values);
        let (low, high) = widened((within(low), within(high)));
        let (low, high) = (within(low), within(high));
        let room = 0.02 * (high - low);
        let step = round_step((high - low) / 6.0);
        let low = within(((low - room) / step).floor() * step);
        let high = within(((high + room) / step).ceil() * step);
        Axis { low, high, ticks: ticks(low, high, step) }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    fn fraction(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// The least and the greatest of `values`; zeros if there are none.
fn extremes(values: &[f64]) -> (f64, f64) {
    let values = || values.iter().copied();
    (values().reduce(f64::min).unwrap_or(0.0), values().reduce(f64::max).unwrap_or(0.0))
}

/// Whether ticks within the range could be told apart in a few digits.
fn is_wide((low, high): (f64, f64)) -> bool {
    high - low > 1e-6 * low.abs().max(high.abs()).max(1e-90)
}

/// The range, or one around it if it is hardly more than one value.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    let room = match is_wide((low, high)) {
        true => 0.0,
        false if size > 1e-90 => 0.1 * size,
        false => 1.0,
    };
    (low - room, high + room)
}

/// The least of 1, 2 and 5 times a power of ten that is not below `step`. By way of text, since `log10` and `powi`
/// may differ between platforms and so might the bytes of the figure.
fn round_step(step: f64) -> f64 {
    let power = exponent(step);
    let candidates = ["1", "2", "5", "10"].map(|digits| format!("{digits}e{power}").parse().unwrap_or(step));
    candidates.into_iter().find(|&candidate| candidate >= step).unwrap_or(step)
}

/// The power of ten of a number's first digit.
fn exponent(number: f64) -> i32 {
    format!("{number:e}").split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0)
}

/// The multiples of `step` from `low` to `high`, labelled with the digits that tell them apart.
fn ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let power = exponent(step);
    let fixed = power >= -6 && low.abs().max(high.abs()) < 1e7;
    let label = |tick: f64| match tick {
        _ if fixed => format!("{tick:.*}", power.min(0).unsigned_abs() as usize),
        0.0 => "0".to_string(),
        _ => format!("{tick:.*e}", (exponent(tick) - power).max(0) as usize),
    };
    // A millionth of a step forgives the rounding of the division.
    let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
    let counts = std::iter::successors(Some(first), |count| Some(count + 1.0)).take_while(|&count| count <= last);
    counts.map(|count| count * step + 0.0).map(|tick| (tick, label(tick))).collect() // + 0.0 makes -0 plain 0
}

/// The width of the widest label.
fn widest(ticks: &[(f64, String)]) -> f64 {
    ticks.iter().map(|tick| text_width(&tick.1, TEXT_SIZE)).fold(0.0, f64::max)
}

fn drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// The colour of `name`, one of `names`.
fn colour(names: &[&str], name: &str) -> &'static str {
    COLOURS[names.iter().position(|&other| other == name).unwrap_or(0) % COLOURS.len()]
}

/// `points` with one more wherever their line crosses y = `top` or y = `bottom`, so that it can be cut there.
fn cut_at(points: &[(f64, f64)], (top, bottom): (f64, f64)) -> Vec<(f64, f64)> {
    let mut cut: Vec<(f64, f64)> = points.first().copied().into_iter().collect();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        for y in if y0 < y1 { [top, bottom] } else { [bottom, top] } {
            if (y0 < y) != (y1 < y) {
                cut.push((x0 + (x1 - x0) * ((y - y0) / (y1 - y0)), y));
            }
        }
        cut.push((x1, y1));
    }
    cut
}

/// A line through `points`, or a dot if there is only one: hollow for a dashed line, full for a solid one.
fn stroke(points: &[(f64, f64)], colour: &str, dashed: bool) -> String {
    let (fill, dashes) = if dashed { ("#ffffff", " stroke-dasharray='6 4'") } else { (colour, "") };
    let style = format!("stroke='{colour}' stroke-width='2'");
    match points {
        [] => String::new(),
        [(x, y)] => format!("<circle cx='{x:.1}' cy='{y:.1}' r='3.5' fill='{fill}' {style}/>\n"),
        _ => format!("<path d='{}' fill='none' {style} stroke-linejoin='round'{dashes}/>\n", path(points.iter())),
    }
}

/// The area between the (x, low, high) of `edges`, as far as it lies between y = `limits.0` and y = `limits.1`.
fn band(edges: &[(f64, f64, f64)], limits: (f64, f64), colour: &str) -> String {
    let edges = match edges {
        [] => return String::new(),
        [(x, low, high)] => &[(x - 4.0, *low, *high), (x + 4.0, *low, *high)], // one x alone has no area
        _ => edges,
    };
    let edge = |of: fn(&(f64, f64, f64)) -> (f64, f64)| {
        let cut = cut_at(&edges.iter().map(of).collect::<Vec<_>>(), limits);
        cut.into_iter().map(|(x, y)| (x, y.max(limits.0).min(limits.1))).collect::<Vec<_>>()
    };
    let (low, high) = (edge(|&(x, low, _)| (x, low)), edge(|&(x, _, high)| (x, high)));
    format!("<path d='{}Z' fill='{colour}' fill-opacity='0.15'/>\n", path(low.iter().chain(high.iter().rev())))
}

/// The `d` attribute of a path through `points`.
fn path<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> String {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    format!("M{}", points.join("L"))
}

/// A thin straight line.
fn rule((x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) -> String {
    format!("<path d='M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}' stroke='{colour}'/>\n")
}

fn text(x: f64, y: f64, style: &str, words: &str) -> String {
    if words.is_empty() {
        return String::new();
    }
    format!("<text x='{x:.1}' y='{y:.1}'{style}>{}</text>\n", escape(words))
}

/// `text` as XML character data; what XML has no way to write becomes a space.
fn escape(text: &str) -> String {
    let unwritable = |character: char| character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}');
    text.replace(unwritable, " ").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How wide `text` is at most, in pixels. An SVG cannot ask the font, so this is a guess on the wide side: each
/// character as wide as the widest of its kind in DejaVu Sans, itself among the widest of the usual fonts.
fn text_width(text: &str, size: f64) -> f64 {
    let em = |character| match character {
        'i' | 'j' | 'l' | 'I' | ' ' | '.' | ',' | ':' | ';' | '\'' | '|' => 0.36,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' | '/' | '-' | '!' | '"' => 0.46,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '&' | '+' | '=' | '<' | '>' | '~' | '#' | '^' => 1.0,
        'A'..='Z' => 0.79,
        '!'..='~' => 0.64,
        _ => 1.3,
    };
    size * text.chars().map(em).sum::<f64>()
}

/// `text`, or as much of its beginning as fits into `width` with an ellipsis.
fn shorten(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_string();
    }
    let mut used = text_width("…", size);
    let kept = text.chars().take_while(|&character| {
        used += text_width(character.encode_utf8(&mut [0; 4]), size);
        used <= width
    });
    kept.chain(['…']).collect()
}

/// `text` in lines that fit into `width`.
fn wrap(text: &str, size: f64, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(line, size) + text_width(" ", size) + text_width(word, size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shorten(word, size, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether `step` is 1, 2 or 5 times a power of ten: its one digit, and how the ticks follow one another.
    fn assert_round(axis: &Axis, most: usize) {
        let numbers: Vec<f64> = axis.ticks.iter().map(|tick| tick.1.parse().expect("a number")).collect();
        assert!((2..=most).contains(&numbers.len()), "{:?}", axis.ticks);
        let width = axis.high - axis.low;
        for (number, tick) in numbers.iter().zip(&axis.ticks) {
            assert!((number - tick.0).abs() < 1e-6 * width, "the label {number} stands at {}", tick.0);
            assert!((-1e-6..=1.0 + 1e-6).contains(&axis.fraction(tick.0)), "{tick:?} is off the axis");
        }
        let step = format!("{:.4e}", numbers[1] - numbers[0]);
        assert!(["1.0000e", "2.0000e", "5.0000e"].iter().any(|round| step.starts_with(round)), "{step}");
        assert!(numbers.windows(2).all(|pair| format!("{:.4e}", pair[1] - pair[0]) == step), "{numbers:?}");
    }

    proptest! {
        #[test]
        fn ticks_are_round_and_cover_the_range(start in -1e3..1e3, width in 1e-3..1e3, power in -20..20) {
            let size: f64 = format!("1e{power}").parse().expect("a number");
            let (low, high) = (start * size, (start + width) * size);
            let loose = Axis::loose(&[low, high], None);
            assert_round(&loose, 10);
            prop_assert!(loose.low < low && high < loose.high);
            let ends = [loose.fraction(loose.ticks[0].0), loose.fraction(loose.ticks[loose.ticks.len() - 1].0)];
            prop_assert!(ends[0].abs() < 1e-6 && (ends[1] - 1.0).abs() < 1e-6, "ticks at both ends: {:?}", ends);
            let tight = Axis::tight(&[low, high], 600.0);
            assert_round(&tight, 11);
            prop_assert!((tight.low, tight.high) == (low, high));
        }

        #[test]
        fn ticks_of_whole_numbers_are_whole(epochs in 1..500u32) {
            let tight = Axis::tight(&[1.0, f64::from(epochs)], 600.0);
            let labels: Vec<u32> = tight.ticks.iter().map(|tick| tick.1.parse().expect("a whole number")).collect();
            prop_assert!(!labels.is_empty() && labels.len() <= 11);
            prop_assert!(labels.iter().all(|label| (1..=epochs).contains(label)), "{:?}", labels);
        }
    }

    #[test]
    fn labels_are_written_the_plain_way_where_that_is_short() {
        let labels = |low, high, step| ticks(low, high, step).into_iter().map(|tick| tick.1).collect::<Vec<_>>();
        assert_eq!(labels(0.9, 1.0, 0.05), ["0.90", "0.95", "1.00"]);
        assert_eq!(labels(-0.3, 0.3, 0.2), ["-0.2", "0.0", "0.2"]);
        assert_eq!(labels(0.0, 300.0, 100.0), ["0", "100", "200", "300"]);
        assert_eq!(labels(0.0, 2e9, 5e8), ["0", "5e8", "1.0e9", "1.5e9", "2.0e9"]);
    }
}
