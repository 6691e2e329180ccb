//! Figures of accuracy by epoch as SVG text: named lines with bands, below a title and a legend.
//!
//! Every colour is written for a light page. A style in the figure replaces each by its dark
//! counterpart where the reader prefers dark; a program that ignores the style shows the light
//! figure. The same figure always gives the same bytes.

use crate::experiments::statistics::Spread;

/// The size of every figure's card in pixels; its height follows from the legend.
const WIDTH: f64 = 700.0;
/// Where the left and the right end of the axes are.
const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - MARGIN;
/// The height of the area between the axes.
const PLOT_HEIGHT: f64 = 320.0;
/// The space that text and axes keep from the card's border.
const MARGIN: f64 = 24.0;
/// How far the first and the last x keep from the ends of the axis, so that their dots are whole.
const INSET: f64 = 10.0;
/// The length of a stroke in the legend.
const KEY: f64 = 28.0;
/// A guess at the mean width of a character, on the wide side, since an SVG cannot ask the font.
const CHARACTER: f64 = 8.0;
const FONTS: &str = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif";

/// A colour on a light page, and the one that takes its place on a dark page.
type Colour = [&'static str; 2];
const CARD: Colour = ["#ffffff", "#12161b"];
const BORDER: Colour = ["#d0d7de", "#323a44"];
const GRID: Colour = ["#e6e9ed", "#262d36"];
const INK: Colour = ["#24292f", "#e7eaee"];
const GREY: Colour = ["#59636e", "#a1abb6"];

/// The palette of Okabe and Ito ("Color Universal Design", 2008), made to be told apart with any
/// colour vision, and its dark counterparts. Its yellow is left out and the colours with the least
/// contrast to white come last.
const COLOURS: [Colour; 7] = [
    ["#0072b2", "#4a9ee8"],
    ["#d55e00", "#f2823a"],
    ["#009e73", "#2fc598"],
    ["#cc79a7", "#e58fc0"],
    ["#000000", "#ffffff"],
    ["#e69f00", "#f2b632"],
    ["#56b4e9", "#9adcff"],
];

/// One figure. Its texts should be short enough for one line.
#[derive(Debug, Clone, Default)]
pub struct Figure {
    /// What the figure shows; also what a screen reader says.
    pub title: String,
    /// The y axis follows the data within these (low, high). Whatever lies beyond is cut off, so
    /// that (0.9, 1) shows only the top.
    pub y_bounds: (f64, f64),
    /// Later lines are drawn over earlier ones. Where some are dashed, the legend explains the
    /// strokes.
    pub lines: Vec<Line>,
}

/// One line of a figure.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Neighbours of one name share a colour and an entry of the legend. An eighth name gets the
    /// first colour again.
    pub name: String,
    /// Dashed, for training, or solid, for the test.
    pub dashed: bool,
    /// From the first epoch on; one alone becomes a dot.
    pub accuracies: Vec<f64>,
    /// How far a translucent band reaches above and below each of the accuracies; empty or not
    /// finite for none.
    pub deviations: Vec<f64>,
}

impl Figure {
    /// The figure as one SVG element, 700 pixels wide unless the page scales it.
    pub fn svg(&self) -> String {
        let (legend, legend_end) = self.legend();
        let top = legend_end + 20.0;
        let bottom = legend_end + 20.0 + PLOT_HEIGHT;
        let height = bottom + 44.0 + MARGIN;
        let (x_axis, y_axis) = self.axes();
        let place_x = |x: f64| INSET + x_axis.fraction(x) * (RIGHT - LEFT - 2.0 * INSET);
        let place_y = |y: f64| 1.0 + (1.0 - y_axis.fraction(y)) * PLOT_HEIGHT;

        let mut svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' class='figure' role='img' width='{WIDTH}' \
             height='{height}' viewBox='0 0 {WIDTH} {height}' font-family='{FONTS}' \
             font-size='13'>\n<title>{}</title>\n{}\n\
             <rect width='100%' height='100%' rx='12' fill='{}' stroke='{}' stroke-width='2'/>\n",
            escape(&self.title),
            dark_style(),
            CARD[0],
            BORDER[0],
        );
        svg += &text(MARGIN, MARGIN + 14.0, INK, " font-size='17' font-weight='600'", &self.title);
        svg += &legend;
        for (y, label) in &y_axis.ticks {
            let y = top - 1.0 + place_y(*y);
            svg += &rule((LEFT, y), (RIGHT, y), GRID);
            svg += &text(LEFT - 8.0, y + 4.5, GREY, " text-anchor='end'", label);
        }
        for (x, label) in &x_axis.ticks {
            let x = LEFT + place_x(*x);
            svg += &rule((x, top), (x, bottom), GRID);
            svg += &text(x, bottom + 20.0, GREY, " text-anchor='middle'", label);
        }
        svg += &rule((LEFT, bottom), (RIGHT, bottom), GREY);
        svg += &text((LEFT + RIGHT) / 2.0, bottom + 44.0, INK, " text-anchor='middle'", "epoch");
        let x = MARGIN + 10.0;
        let y = (top + bottom) / 2.0;
        let turned = format!(" text-anchor='middle' transform='rotate(-90 {x} {y})'");
        svg += &text(x, y, INK, &turned, "accuracy");

        // An inner svg element cuts off what lies outside it, all but half the width of a line
        // along its edge.
        svg += &format!(
            "<svg x='{LEFT}' y='{}' width='{}' height='{}'>\n",
            top - 1.0,
            RIGHT - LEFT,
            PLOT_HEIGHT + 2.0
        );
        let names = self.names();
        let place = |(x, y)| (place_x(x), place_y(y));
        for line in &self.lines {
            let corners = line.edge(-1.0).into_iter().chain(line.edge(1.0).into_iter().rev());
            svg += &band(corners.map(place), colour(&names, &line.name));
        }
        for line in &self.lines {
            let points: Vec<_> = line.points().into_iter().map(place).collect();
            svg += &stroke(&points, colour(&names, &line.name), line.dashed);
        }
        svg + "</svg>\n</svg>\n"
    }

    /// The x axis from the first to the last epoch, the y axis from the tick below the lowest y to
    /// the tick above the highest.
    fn axes(&self) -> (Axis, Axis) {
        let last =
            self.lines.iter().map(|line| line.accuracies.len()).max().unwrap_or(0).max(1) as f64;
        let alone = if last == 1.0 { 0.5 } else { 0.0 }; // one epoch stands in the middle
        let x_axis = Axis::new(1.0 - alone, last + alone, round_step(1.0, (last - 1.0) / 10.0));

        let all = |line: &Line| [line.points(), line.edge(-1.0), line.edge(1.0)].concat();
        let ys = self.lines.iter().flat_map(all).map(|(_, y)| (y, y));
        let (least, most) = ys.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or_default();
        let within = |y: f64| y.max(self.y_bounds.0).min(self.y_bounds.1);
        let low = within(least);
        let high = within(most);
        let step = round_step(0.001, (high - low) / 6.0);
        let low = within((low / step - 0.1).floor() * step);
        (x_axis, Axis::new(low, within((high / step + 0.1).ceil() * step), step))
    }

    /// The names of the lines, each once, in order.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.lines.iter().map(|line| &*line.name).collect();
        names.dedup();
        names
    }

    /// The legend, and the y of its last row. It explains colours and strokes once each, in rows of
    /// their own: five names in two strokes need seven entries, not ten.
    fn legend(&self) -> (String, f64) {
        let names = self.names();
        let sample = |colour, dashed| stroke(&[(0.0, 0.0), (KEY, 0.0)], colour, dashed);
        let area = band([(0.0, 6.0), (KEY, 6.0), (KEY, -6.0), (0.0, -6.0)].into_iter(), GREY);
        let colours = names.iter().map(|&name| {
            let dashed = self.lines.iter().filter(|line| line.name == name).all(|line| line.dashed);
            (name, sample(colour(&names, name), dashed))
        });
        let strokes = [
            ("test", sample(GREY, false)),
            ("train (running)", sample(GREY, true)),
            ("± one standard deviation over the seeds", area),
        ];
        let strokes = strokes.into_iter().filter(|_| self.lines.iter().any(|line| line.dashed));
        let mut svg = String::new();
        let mut y = MARGIN + 18.0;
        for group in [colours.collect::<Vec<_>>(), strokes.collect()] {
            let mut x = WIDTH; // no room left: each group begins a row
            for (words, sample) in group {
                let width = KEY + 8.0 + CHARACTER * words.chars().count() as f64;
                if x + width > RIGHT {
                    (x, y) = (MARGIN, y + 22.0);
                }
                svg += &format!("<g transform='translate({x} {})'>{sample}</g>\n", y - 4.5);
                svg += &text(x + KEY + 8.0, y, INK, "", words);
                x += width + 16.0;
            }
        }
        (svg, y)
    }
}

impl Line {
    /// The mean of the accuracies of several seeds by epoch, with a band of one standard deviation;
    /// as far as all of them have epochs.
    pub fn of_seeds<'a>(
        name: &str,
        dashed: bool,
        seeds: impl Iterator<Item = &'a [f64]> + Clone,
    ) -> Line {
        let epochs = seeds.clone().map(|accuracies| accuracies.len()).min().unwrap_or(0);
        let spreads =
            (0..epochs).map(|i| seeds.clone().map(|accuracies| accuracies[i]).collect::<Spread>());
        let (accuracies, deviations) =
            spreads.map(|spread| (spread.mean, spread.deviation)).unzip();
        Line { name: name.into(), dashed, accuracies, deviations }
    }

    /// (epoch, accuracy).
    fn points(&self) -> Vec<(f64, f64)> {
        (1..).map(f64::from).zip(self.accuracies.iter().copied()).collect()
    }

    /// The lower edge of the band, with `side` −1, or the upper, with 1.
    fn edge(&self, side: f64) -> Vec<(f64, f64)> {
        let points = self
            .points()
            .into_iter()
            .zip(&self.deviations)
            .filter(|(_, deviation)| deviation.is_finite());
        points.map(|((x, y), deviation)| (x, y + side * deviation)).collect()
    }
}

/// The range of an axis, and its ticks with their labels.
struct Axis {
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// With ticks at the multiples of `step` from `low` to `high`.
    fn new(low: f64, high: f64, step: f64) -> Axis {
        let decimals =
            [1.0, 0.1, 0.01].iter().filter(|&&power| step < power * (1.0 - 1e-6)).count();
        // A millionth of a step forgives the rounding of the division; + 0.0 makes −0 plain 0.
        let first = (low / step - 1e-6).ceil();
        let multiples = (0..20).map(|n| (first + f64::from(n)) * step + 0.0);
        let within = multiples.take_while(|&tick| tick <= high + 1e-6 * step);
        let ticks = within.map(|tick| (tick, format!("{tick:.decimals$}"))).collect();
        Axis { low, high, ticks }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end.
    fn fraction(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// The least of `smallest` times 1, 2, 5, 10, 20, 50 and so on that is not below `step`.
fn round_step(smallest: f64, step: f64) -> f64 {
    let mut rounded = smallest;
    let mut factors = [2.0, 2.5, 2.0].iter().cycle();
    while rounded < step * (1.0 - 1e-6) {
        rounded *= factors.next().unwrap_or(&10.0);
    }
    rounded
}

/// Replaces every colour by its dark counterpart on a screen of a reader who prefers dark.
fn dark_style() -> String {
    let replace = |[light, dark]: &Colour| {
        format!(
            ".figure [fill='{light}']{{fill:{dark}}}.figure [stroke='{light}']{{stroke:{dark}}}"
        )
    };
    let rules: String =
        [CARD, BORDER, GRID, INK, GREY].iter().chain(&COLOURS).map(replace).collect();
    format!("<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>")
}

/// The colour of `name`, one of `names`.
fn colour(names: &[&str], name: &str) -> Colour {
    COLOURS[names.iter().position(|&other| other == name).unwrap_or(0) % COLOURS.len()]
}

/// A line through `points`, or a dot if there is only one: hollow for a dashed line, full for a
/// solid one.
fn stroke(points: &[(f64, f64)], [colour, _]: Colour, dashed: bool) -> String {
    let (fill, dashes) = if dashed { (CARD[0], " stroke-dasharray='6 4'") } else { (colour, "") };
    let style = format!("stroke='{colour}' stroke-width='2'");
    match points {
        [] => String::new(),
        [(x, y)] => format!("<circle cx='{x:.1}' cy='{y:.1}' r='3.5' fill='{fill}' {style}/>\n"),
        _ => {
            let d = path(points.iter().copied());
            format!("<path d='{d}' fill='none' {style} stroke-linejoin='round'{dashes}/>\n")
        }
    }
}

/// The area that `corners` enclose.
fn band(corners: impl Iterator<Item = (f64, f64)>, [colour, _]: Colour) -> String {
    let d = path(corners);
    if d.is_empty() { d } else { format!("<path d='{d}Z' fill='{colour}' fill-opacity='0.15'/>\n") }
}

/// The `d` attribute of a path through `points`.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    points
        .enumerate()
        .map(|(i, (x, y))| format!("{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' }))
        .collect()
}

/// A thin straight line.
fn rule((x1, y1): (f64, f64), (x2, y2): (f64, f64), [colour, _]: Colour) -> String {
    format!("<path d='M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}' stroke='{colour}'/>\n")
}

fn text(x: f64, y: f64, [colour, _]: Colour, style: &str, words: &str) -> String {
    format!("<text x='{x:.1}' y='{y:.1}' fill='{colour}'{style}>{}</text>\n", escape(words))
}

fn escape(text: &str) -> String {
    text.replace(char::is_control, " ").replace('&', "&amp;").replace('<', "&lt;")
}
