//! Made-up images of no class: letters, signs and random strokes. On them is trained what tells the
//! page that it does not know.

use crate::math::rng::{Rng, Stream};

/// A place on paper: x, and y downwards.
type Point = [f64; 2];

/// Letters and signs, a word each: strokes between commas, each through places on a grid of 10 by
/// 10, x and y; after a ~ as a curve. Letters that look like digits (B, I, O, S, Z …) are not here.
const DRAWINGS: &str = "
09-40-89,26-66 ~82-50-21-05-28-59-87 00-09,~00-40-73-76-49-09 70-00-09-79,04-64 70-00-09,04-64
~82-50-21-05-28-59-87-85,55-85 00-09,70-79,04-74 ~60-66-58-29-07 ~60-66-58-29-07,20-90
00-09,70-05-79 00-09-69 09-10-46-80-99 09-00-79-70 00-09,~00-50-72-54-05
~40-12-06-29-69-86-72-40,67-99 00-09,~00-50-72-54-05,34-79 00-80,40-49 ~00-05-28-59-77-80
00-49-80 00-29-53-79-90 00-89,80-09 00-44-80,44-49 ~73-42-15-28-58-75,71-79
~12-41-73-79,~74-34-17-39-77 ~75-44-16-29-59-76,70-79 ~16-86-73-42-15-28-59-88
~80-50-42-49,14-74 00-09,~05-33-65-69 43-49,40-41 ~52-57-39-17,50-51 00-09,63-06-69
02-09,~04-22-44-49,~44-62-84-89 01-09,~05-32-64-69 01-09,~03-42-74-46-05 02-09,~05-32-63
~40-46-58-78,12-72 ~01-06-38-66,61-69 ~01-18-37-44-57-78-91 00-44,80-19 ~92-58-27-24-41-65-98
~80-60-42-38-19-08,14-74 ~61-65-47-18-06 20-80,~60-66-48-18-07 ~41-46-38-18,40-41
33-43-49,29-69,40-41 00-44-80,~44-28-09 ~00-03-35-63-70,~70-66-49-19 ~40-38-59-79,13-73
00-09-40-49-80-89 ~00-03-44-73-70,44-49 ~09-20-46-70-99 00-90-99-09-00 40-89-09-40 40-49,04-84
04-40-84-89-09-04 ~49-15-03-11-31-43,~43-51-71-83-75-49 04-94,62-94-66 49-40,13-40-73
03-93,06-96 40-29-93-03-79-40 04-94 00-60-69-09-00 40-84-49-04-40 ~02-11-40-71-63-45-46,48-49
40-46,48-49 ~82-50-20-03-46-67-49-09-07,40-49 00-40-49-09 40-00-09-49 ~50-31-33-15-36-38-59
~10-31-33-55-36-38-19 ~79-13-10-40-42-06-18-49-75 00-84-09 80-04-89
80-09,~00-20-22-02-00,~67-87-89-69-67 80-22-05-50-90-45-79-09 90-09 ~60-20-05-29-69,03-53,06-46
~60-20-05-29-69-78-40-30-03-26-69 ~04-22-45-67-84 00-49-90-00 ~52-40-20-12-45-67-49-29-17,16-57
04-84,40-41,48-49 05-29-80 80-20-55-19-89 15-36-59-90-99";

/// The made-up image of this number, of `rows × columns` pixels: a drawing of the table, or as
/// often a scribble.
pub fn fake([rows, columns]: [usize; 2], seed: u64, number: usize) -> Vec<u8> {
    let mut rng = Rng::new(seed.wrapping_add((number as u64) << 32), Stream::Fakes);
    let strokes = if rng.below(2) == 0 { drawing(&mut rng) } else { scribble(&mut rng) };
    painted(&strokes, [rows, columns], &mut rng)
}

/// A drawing of the table.
fn drawing(rng: &mut Rng) -> Vec<Vec<Point>> {
    let words: Vec<&str> = DRAWINGS.split_whitespace().collect();
    let stroke = |stroke: &str| {
        let digit = |digits: &str, k: usize| f64::from(digits.as_bytes()[k] - b'0') / 9.0;
        let places = stroke.trim_start_matches('~').split('-').map(|d| [digit(d, 0), digit(d, 1)]);
        line(&places.collect::<Vec<Point>>(), stroke.starts_with('~'))
    };
    words[rng.below(words.len())].split(',').map(stroke).collect()
}

/// Strokes between random places, half of them on a grid of 3 × 3, so that some of them meet.
fn scribble(rng: &mut Rng) -> Vec<Vec<Point>> {
    let strokes = [1, 1, 2, 3, 4, 5][rng.below(6)];
    let most = if strokes == 1 { 11 } else { 3 };
    let place = |rng: &mut Rng| match rng.below(2) {
        0 => [rng.uniform(), rng.uniform()],
        _ => [0, 1].map(|_| rng.below(3) as f64 / 2.0),
    };
    (0..strokes)
        .map(|_| {
            let places: Vec<Point> = (0..2 + rng.below(most)).map(|_| place(rng)).collect();
            line(&places, rng.below(2) == 0)
        })
        .collect()
}

/// The line through these places, straight or a curve (Catmull and Rom, 1974), as points close
/// together.
fn line(places: &[Point], is_curve: bool) -> Vec<Point> {
    const STEPS: usize = 24;
    let at = |i: usize| places[i.clamp(1, places.len()) - 1];
    let mut points = vec![];
    for i in 1..places.len() {
        let corners = [at(i - 1), at(i), at(i + 1), at(i + 2)];
        for t in (0..=STEPS).map(|step| step as f64 / STEPS as f64) {
            points.push([0, 1].map(|k| {
                let [a, b, c, d] = corners.map(|corner| corner[k]);
                let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
                let cube = 3.0 * (b - c) + d - a;
                if is_curve {
                    b + 0.5 * t * (c - a + t * (square + t * cube))
                } else {
                    b + t * (c - b)
                }
            }));
        }
    }
    points
}

/// As the page prepares a drawing: 5/7 as large as the image, the middle of its ink in the middle;
/// with the page's pen or, as often, another one.
fn painted(strokes: &[Vec<Point>], [rows, columns]: [usize; 2], rng: &mut Rng) -> Vec<u8> {
    let side = rows.min(columns) as f64;
    let [least, range] = if rng.below(2) == 0 { [2.2, 0.6] } else { [1.2, 3.3] };
    let radius = (least + range * rng.uniform()) * side / 56.0; // of 28 pixels
    let dots = || strokes.iter().flatten();
    let extent = |k: usize| {
        let [least, most] = [f64::min, f64::max].map(|of| dots().map(|dot| dot[k]).reduce(of));
        most.unwrap_or(0.0) - least.unwrap_or(0.0)
    };
    let scale = (side * 5.0 / 7.0 - 2.0 * radius) / extent(0).max(extent(1)).max(1e-3);
    let count = dots().count() as f64;
    let centre = [columns, rows].map(|side| (side - 1) as f64 / 2.0);
    let offset = [0, 1].map(|k| centre[k] - scale * dots().map(|dot| dot[k]).sum::<f64>() / count);
    let mut pixels = vec![0; rows * columns];
    for dot in dots() {
        let [x, y] = [0, 1].map(|k| scale * dot[k] + offset[k]);
        let near = |at: f64, side: usize| {
            let first = (at - radius).ceil().max(0.0) as usize;
            first..((at + radius + 1.0).max(0.0) as usize).min(side)
        };
        for row in near(y, rows) {
            for column in near(x, columns) {
                let distance = ((column as f64 - x).powi(2) + (row as f64 - y).powi(2)).sqrt();
                let ink = (255.0 * (radius + 0.5 - distance)) as u8;
                let pixel: &mut u8 = &mut pixels[row * columns + column];
                *pixel = ink.max(*pixel);
            }
        }
    }
    pixels
}
