"use strict";
// From a drawing or a picture to the pixels that the network reads, as MNIST was made (yann.lecun.com/exdb/mnist): the
// ink's box is scaled to 20 × 20 with its shape and grey levels kept, then placed in 28 × 28 by its centre of mass.
//
// Ink is { width, height, levels }, with levels [height × width] from 0, paper, to 1, ink. It needs nothing of the other
// files.

const fitted = 20 / 28; // the box's part of the image's side
const fine = 160; // the box's side while ink is drawn or thickened: eight times the final one
const pen = 2.5 / 20; // of the box's side: the median width of the strokes in MNIST
const visible = 0.02; // the level from which ink counts for its box

// ---- Strokes: each a list of [x, y]. They are inked with the same pen whatever the size of the drawing.

// Null for a drawing smaller than `smallest`, whose shape can't be told.
function strokesInk(strokes, smallest) {
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [least(xs), least(ys)];
  const [across, down] = [most(xs) - left, most(ys) - top];
  const length = Math.max(across, down);
  if (!(length >= smallest)) return null;
  const scale = (fine * (1 - pen)) / length;
  const context = newContext(Math.ceil(across * scale + fine * pen), Math.ceil(down * scale + fine * pen));
  const { width, height } = context.canvas;
  context.translate((fine * pen) / 2, (fine * pen) / 2);
  context.scale(scale, scale);
  context.translate(-left, -top);
  inkStrokes(context, strokes, (fine * pen) / scale);
  const { data: rgba } = context.getImageData(0, 0, width, height);
  return { width, height, levels: Float32Array.from({ length: width * height }, (_, i) => rgba[4 * i + 3] / 255) };
}

function inkStrokes(context, strokes, lineWidth) {
  Object.assign(context, { lineWidth, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  for (const points of strokes) {
    const at = (i) => points[Math.min(points.length - 1, Math.max(0, i))];
    context.beginPath();
    context.moveTo(...points[0]);
    context.lineTo(points[0][0] + 0.01, points[0][1]); // a lone point is a line too, else it is not drawn
    for (let i = 1; i < points.length; i++) curve(context, at(i - 2), at(i - 1), at(i), at(i + 1));
    context.stroke();
  }
}

// From b to c, at each in the direction from the point before it to the one after it (Catmull and Rom 1974): a quick hand
// leaves few points, and straight lines between them have corners that it did not draw.
function curve(context, a, b, c, d) {
  const length = Math.hypot(c[0] - b[0], c[1] - b[1]);
  const control = (point, [x, y]) => {
    const part = Math.min(1 / 6, length / 3 / Math.hypot(x, y)) || 0; // no further than a third of the way
    return [point[0] + part * x, point[1] + part * y];
  };
  context.bezierCurveTo(...control(b, [c[0] - a[0], c[1] - a[1]]), ...control(c, [b[0] - d[0], b[1] - d[1]]), ...c);
}

// ---- Pictures: what differs from the paper is ink, darker or lighter, whichever there is more of.

// ImageData → ink, or null where there is none
function pictureInk({ width, height, data: rgba }) {
  const picture = paperOf({ width, height, luma: brightness(rgba) });
  const { difference, uneven } = withoutPaper(picture);
  const energy = (sign) => total(difference.map((d) => Math.max(0, sign * d) ** 2));
  const sign = energy(1) > energy(-1) ? 1 : -1;
  const darkest = most(difference.map((d) => sign * d));
  if (darkest < (uneven ? 0.15 : 0.05)) return null;
  // A clean picture keeps all its greys. On a photograph grain, shadows and ruled lines are no ink, and most of a stroke is
  // full ink, however hard the pen was pressed.
  const floor = uneven ? 0.4 * darkest : 0;
  const full = uneven ? quantile(difference.filter((d) => sign * d > floor).map(Math.abs), 0.75) : darkest;
  const levels = difference.map((d) => Math.min(1, Math.max(0, sign * d - floor) / (full - floor)));
  return { ...thickened(withoutSpecks({ ...picture, levels })), uneven };
}

// Luma (ITU-R BT.601), 0 to 1; what is transparent lies on the opposite of what is not.
function brightness(rgba) {
  const luma = new Float32Array(rgba.length / 4);
  let [sum, cover] = [0, 0];
  for (let i = 0; i < luma.length; i++) {
    luma[i] = (0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2]) / 255;
    sum += luma[i] * rgba[4 * i + 3];
    cover += rgba[4 * i + 3];
  }
  const behind = sum < 0.5 * cover ? 1 : 0;
  return luma.map((value, i) => behind + (value - behind) * (rgba[4 * i + 3] / 255));
}

// A sheet of paper that lies on something darker, cut out, with NaN around it; the picture itself where there is none.
function paperOf(picture) {
  const { width, height, luma } = picture;
  if (Math.min(width, height) < 100) return picture; // no photograph
  const threshold = otsu(luma);
  const bright = regions(width, height, (i) => luma[i] > threshold);
  const sheet = bright.reduce((a, b) => (b.pixels.length > a.pixels.length ? b : a), { pixels: [] });
  const onSheet = new Uint8Array(luma.length);
  for (const i of sheet.pixels) onSheet[i] = 1;
  const written = regions(width, height, (i) => !onSheet[i]).filter(({ touches }) => !touches).flatMap((hole) => hole.pixels);
  for (const i of written) onSheet[i] = 1;
  const area = sheet.pixels.length + written.length;

  // The pixels along both sides of the sheet's edge, and those that are further within.
  const margin = Math.ceil(0.02 * Math.sqrt(area));
  const places = { inner: [], within: [], without: [] };
  onSheet.forEach((on, i) => {
    const [x, y] = placeOf(i, width);
    const is = (nx, ny) => nx >= 0 && ny >= 0 && nx < width && ny < height && onSheet[ny * width + nx];
    const near = is(x - margin, y) + is(x + margin, y) + is(x, y - margin) + is(x, y + margin);
    if (on) places[near < 4 ? "within" : "inner"].push(i);
    else if (near > 0) places.without.push(i);
  });
  const [within, without] = [places.within, places.without].map((place) => median(place.map((i) => luma[i])));
  // It is large and has an edge, four corners, and something dark on it, but not so much as there is inside of a 0.
  const isSheet = area > 0.15 * luma.length && within - without > 0.1 &&
    written.length > 0.0005 * area && written.length < 0.2 * area &&
    likeQuadrilateral(places, width) > 0.9;
  if (!isSheet) return picture;
  const { left, top, right, bottom } = boxOf(onSheet, width, 0);
  const cut = { width: right - left, height: bottom - top, luma: new Float32Array((right - left) * (bottom - top)).fill(NaN) };
  for (const i of places.inner) {
    const [x, y] = placeOf(i, width);
    cut.luma[(y - top) * cut.width + x - left] = luma[i];
  }
  return cut;
}

// The threshold between the dark and the bright that leaves the least variance within them (Otsu 1979).
function otsu(luma) {
  const counts = new Float64Array(256);
  for (const value of luma) counts[Math.min(255, Math.floor(256 * value))]++;
  const [count, sum] = [luma.length, total(counts.map((n, level) => n * level))];
  let [below, sumBelow, best, threshold] = [0, 0, -1, 0];
  counts.forEach((n, level) => {
    [below, sumBelow] = [below + n, sumBelow + n * level];
    const between = (sum * below - sumBelow * count) ** 2 / (below * (count - below));
    if (between > best) [best, threshold] = [between, (level + 1) / 256];
  });
  return threshold;
}

// How much a shape is like the quadrilateral between the two points of its edge that lie furthest apart and those furthest
// from the line between them on either side: what both share over what either has, 0.64 for an ellipse.
function likeQuadrilateral({ inner, within }, width) {
  const edge = within.map((i) => placeOf(i, width));
  const furthest = (distance) => edge.reduce((a, b) => (distance(b) > distance(a) ? b : a));
  const from = ([x, y]) => (point) => Math.hypot(point[0] - x, point[1] - y);
  const side = (a, b) => ([x, y]) => (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
  const a = furthest(from(edge[0]));
  const c = furthest(from(a));
  const [b, d] = [furthest(side(c, a)), furthest(side(a, c))];
  const sides = [side(a, b), side(b, c), side(c, d), side(d, a)];
  const area = (side(a, c)(d) + side(c, a)(b)) / 2;
  const all = inner.map((i) => placeOf(i, width)).concat(edge);
  const shared = all.filter((point) => sides.every((of) => of(point) >= 0)).length;
  return shared / (area + all.length - shared);
}

// The paper is what lies along the picture's edge; where that is not of one brightness, as on a photograph, on which
// light falls unevenly, it is the medians of 3 × 3 tiles with straight lines between them.
function withoutPaper({ width, height, luma }) {
  const depth = 0.03 * Math.min(width, height);
  const edge = luma.filter((_, i) => {
    const [x, y] = placeOf(i, width);
    return Math.min(x, y, width - 1 - x, height - 1 - y) < depth;
  });
  const level = median(edge);
  const spread = median(edge.map((value) => Math.abs(value - level)));
  const uneven = !(spread <= 0.004) && Math.min(width, height) >= 3;
  if (!uneven) return { difference: luma.map((value) => value - level), uneven };
  const tiles = Array.from({ length: 9 }, () => []);
  const inTiles = (i) => placeOf(i, width).map((at, axis) => (3 * (at + 0.5)) / (axis ? height : width));
  luma.forEach((value, i) => {
    const [u, v] = inTiles(i);
    if (!isNaN(value)) tiles[3 * Math.floor(v) + Math.floor(u)].push(value);
  });
  const all = median(tiles.flat());
  const paper = tiles.map((tile) => (tile.length ? median(tile) : all));
  const difference = luma.map((value, i) => {
    const [u, v] = inTiles(i).map((t) => t - 0.5); // from the first tile's centre
    const [left, top] = [Number(u > 1), Number(v > 1)];
    const along = (row) => paper[3 * row + left] + (u - left) * (paper[3 * row + left + 1] - paper[3 * row + left]);
    return value - (along(top) + (v - top) * (along(top + 1) - along(top))) || 0; // nothing beside the paper
  });
  return { difference, uneven };
}

// Drops the blots that touch the picture's edge (shadows, frames) if others are left, and those much smaller than the
// largest.
function withoutSpecks({ width, height, levels }) {
  const blots = regions(width, height, (i) => levels[i] > visible);
  for (const blot of blots) blot.mass = total(blot.pixels.map((i) => levels[i]));
  const massOf = (some) => total(some.map(({ mass }) => mass));
  const inner = blots.filter(({ touches }) => !touches);
  const candidates = massOf(inner) > 0.03 * massOf(blots) ? inner : blots;
  const largest = most(candidates.map(({ mass }) => mass));
  const kept = new Float32Array(levels.length);
  for (const { mass, pixels } of candidates) if (mass >= 0.03 * largest) for (const i of pixels) kept[i] = levels[i];
  return { width, height, levels: kept };
}

// The connected regions of the pixels that are inside, each with its pixels and whether it touches the picture's edge.
function regions(width, height, inside) {
  const found = new Uint8Array(width * height);
  const all = [];
  for (let first = 0; first < found.length; first++) {
    const region = { pixels: [], touches: false };
    const take = (i) => {
      if (found[i] || !inside(i)) return;
      found[i] = 1;
      region.pixels.push(i);
    };
    take(first);
    for (let next = 0; next < region.pixels.length; next++) {
      const [x, y] = placeOf(region.pixels[next], width);
      region.touches ||= x === 0 || y === 0 || x === width - 1 || y === height - 1;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) take(ny * width + nx);
      }
    }
    if (region.pixels.length) all.push(region);
  }
  return all;
}

// Ink with strokes at least as wide as the pen's: a thin line, once scaled down, is nothing that MNIST has.
function thickened(ink) {
  const { left, top, right, bottom } = boxOf(ink.levels, ink.width, visible);
  const step = Math.max(right - left, bottom - top) / fine;
  if (step < 0.25) return ink; // too coarse to be a photograph
  const levels = resampled(ink, spans(left, right, step), spans(top, bottom, step)).flat();
  const [width, height] = [spans(left, right, step).length, spans(top, bottom, step).length];
  for (let radius = 0; ; radius++) {
    const thick = dilated({ width, height, levels }, radius);
    if (radius > fine * pen / 2 || strokeWidth(prepare(thick, 28, 28), 28) >= 20 * pen) return radius ? thick : ink;
  }
}

// Every pixel becomes the most of the disc around it; the disc's edge is soft.
function dilated({ width, height, levels }, radius) {
  const wide = width + 2 * radius;
  const thick = new Float32Array(wide * (height + 2 * radius));
  levels.forEach((level, i) => {
    if (level <= visible) return;
    const [x, y] = placeOf(i, width);
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        const part = Math.min(1, radius + 0.5 - Math.hypot(dx, dy));
        const at = (y + radius + dy) * wide + x + radius + dx;
        thick[at] = Math.max(thick[at], level * part);
      }
    }
  });
  return { width: wide, height: height + 2 * radius, levels: thick };
}

// The mean width of an image's strokes: across one the level rises once and falls once, so that twice the ink over all
// the change is the width.
function strokeWidth(pixels, columns) {
  const at = (i) => pixels[i] ?? 0;
  let change = 0;
  pixels.forEach((a, i) => {
    const [b, c, d] = [at(i + 1), at(i + columns), at(i + columns + 1)];
    change += Math.hypot(b + d - a - c, c + d - a - b) / 2;
  });
  return (2 * total(pixels)) / change;
}

// ---- Both: ink → pixels [rows × columns], 0 to 255

function prepare(ink, rows, columns) {
  const { left, top, right, bottom } = boxOf(ink.levels, ink.width, visible);
  const step = Math.max((right - left) / columns, (bottom - top) / rows) / fitted; // ink pixels per image pixel
  const box = resampled(ink, spans(left, right, step), spans(top, bottom, step));
  const shiftY = shift(box.map(total), rows);
  const shiftX = shift(box[0].map((_, x) => total(box.map((line) => line[x]))), columns);
  const peak = most(box.flat());
  const pixels = new Uint8Array(rows * columns);
  box.forEach((line, y) => line.forEach((value, x) => {
    pixels[(y + shiftY) * columns + x + shiftX] = Math.round((255 * value) / peak);
  }));
  return pixels;
}

// How far the masses along one axis move to have their centre in the middle: whole pixels, and no ink over the edge.
function shift(masses, size) {
  const centre = total(masses.map((mass, i) => mass * i)) / total(masses);
  return Math.min(size - masses.length, Math.max(0, Math.round(size / 2 - centre)));
}

// The box around the levels above `limit`.
function boxOf(levels, width, limit) {
  const box = { left: Infinity, top: Infinity, right: 0, bottom: 0 };
  levels.forEach((level, i) => {
    if (level <= limit) return;
    const [x, y] = placeOf(i, width);
    [box.left, box.right] = [Math.min(box.left, x), Math.max(box.right, x + 1)];
    [box.top, box.bottom] = [Math.min(box.top, y), Math.max(box.bottom, y + 1)];
  });
  return box;
}

// Cuts from..to into steps, for area averaging: for each step the [pixel, covered part of the step] that it spans.
function spans(from, to, step) {
  return Array.from({ length: Math.ceil((to - from) / step - 1e-9) }, (_, n) => {
    const [start, end] = [from + n * step, Math.min(to, from + (n + 1) * step)];
    const parts = [];
    for (let i = Math.floor(start); i < end; i++) parts.push([i, (Math.min(end, i + 1) - Math.max(start, i)) / step]);
    return parts;
  });
}

// The lines of the ink's means over the spans.
function resampled({ width, levels }, across, down) {
  return down.map((ys) => across.map((xs) => {
    let sum = 0;
    for (const [y, high] of ys) for (const [x, wide] of xs) sum += levels[y * width + x] * high * wide;
    return sum;
  }));
}

// Halved, each pixel the mean of four, until it is small enough to work on.
function pixelsOf(picture) {
  const halve = Math.max(picture.width, picture.height) > 1000 ? 2 : 1;
  const context = newContext(Math.ceil(picture.width / halve), Math.ceil(picture.height / halve));
  const { width, height } = context.canvas;
  context.drawImage(picture, 0, 0, width, height);
  return halve === 1 ? context.getImageData(0, 0, width, height) : pixelsOf(context.canvas);
}

function newContext(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return canvas.getContext("2d", { willReadFrequently: true });
}

const placeOf = (i, width) => [i % width, Math.floor(i / width)];
const total = (values) => values.reduce((sum, value) => sum + value, 0);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const quantile = (values, part) => Float32Array.from(values).sort()[Math.floor(part * (values.length - 1))];
const median = (values) => quantile(values, 0.5);
