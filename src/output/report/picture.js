"use strict";
// From a photograph or another picture to its ink: what differs from the paper, darker or lighter, whichever there is
// more of. This file needs only drawing.js
// and several.js.

const smallestInk = 5; // pixels: what is drawn with fewer has no shape

// What a file shows, for drawImage, or null where the browser can't read it. Its type need not be known.
async function decode(file) {
  const isVector = (await file.slice(0, 4000).text()).includes("<svg");
  return (isVector ? decodeVector(file) : createImageBitmap(file)).catch(() => null);
}

// SVG has no pixels of its own: it gets a thousand along its longer side.
async function decodeVector(file) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([file], { type: "image/svg+xml" }));
  await image.decode().finally(() => URL.revokeObjectURL(image.src));
  const scale = 1000 / Math.max(image.naturalWidth, image.naturalHeight);
  [image.width, image.height] = [scale * image.naturalWidth, scale * image.naturalHeight];
  return image;
}

// Halved, each pixel the mean of four, until it is small enough to work on.
function pixelsOf(picture) {
  const halve = Math.max(picture.width, picture.height) > 1000 ? 2 : 1;
  const context = newContext(Math.ceil(picture.width / halve), Math.ceil(picture.height / halve));
  const { width, height } = context.canvas;
  context.drawImage(picture, 0, 0, width, height);
  return halve === 1 ? context.getImageData(0, 0, width, height) : pixelsOf(context.canvas);
}

// ImageData → ink, or null where there is none. With `several`, parts that stand apart are inks of their own, in `parts`.
function pictureInk({ width, height, data: rgba }, several) {
  const picture = paperOf({ width, height, luma: brightness(rgba) });
  const { difference, uneven } = withoutPaper(picture);
  const energy = (sign) => total(difference.map((d) => Math.max(0, sign * d) ** 2));
  const sign = energy(1) > energy(-1) ? 1 : -1;
  const darkest = most(difference.map((d) => sign * d));
  if (darkest < (uneven ? 0.15 : 0.05)) return null;
  // A clean picture keeps all its greys. On a photograph, grain, shadows and ruled lines are no ink, and the middle of
  // a stroke is full ink even where the pen was pressed less.
  const floor = uneven ? 0.4 * darkest : 0;
  const full = uneven ? quantile(difference.filter((d) => sign * d > floor).map(Math.abs), 0.75) : darkest;
  const levels = difference.map((d) => Math.min(1, Math.max(0, sign * d - floor) / (full - floor)));
  const ink = withoutSpecks({ ...picture, levels });
  const parts = (several ? inkApart(ink) : [ink]).map(thickened); // one by one: a pen is as thick as its digit is high
  return parts.length > 1 ? { ...ink, uneven, parts } : { ...parts[0], uneven };
}

// The longer side of the ink's box.
function inkSize({ levels, width }) {
  const { left, top, right, bottom } = boxOf(levels, width, visible);
  return Math.max(right - left, bottom - top);
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
  const holes = regions(width, height, (i) => !onSheet[i]).filter(({ touches }) => !touches);
  const written = holes.flatMap(({ pixels }) => pixels);
  for (const i of written) onSheet[i] = 1;
  const area = sheet.pixels.length + written.length;

  // The pixels of the sheet that are further than a margin from its edge, the nearer ones, and those just beyond it.
  const margin = Math.ceil(0.02 * Math.sqrt(area));
  const [inner, border, beyond] = [[], [], []];
  onSheet.forEach((sheet, i) => {
    const [x, y] = placeOf(i, width);
    const on = (nx, ny) => nx >= 0 && ny >= 0 && nx < width && ny < height && onSheet[ny * width + nx];
    const near = on(x - margin, y) + on(x + margin, y) + on(x, y - margin) + on(x, y + margin);
    if (sheet) (near < 4 ? border : inner).push(i);
    else if (near > 0) beyond.push(i);
  });
  const brightnessOf = (pixels) => median(pixels.map((i) => luma[i]));
  // It is large, brighter than what is around it, has four corners, and has something dark on it, but less than there
  // is inside of a white 0.
  const isSheet = area > 0.15 * luma.length && brightnessOf(border) - brightnessOf(beyond) > 0.1 &&
    written.length > 0.0005 * area && written.length < 0.2 * area && likeQuadrilateral(inner, border, width) > 0.9;
  if (!isSheet) return picture;
  const { left, top, right, bottom } = boxOf(onSheet, width, 0);
  const cut = new Float32Array((right - left) * (bottom - top)).fill(NaN);
  for (const i of inner) {
    const [x, y] = placeOf(i, width);
    cut[(y - top) * (right - left) + x - left] = luma[i];
  }
  return { width: right - left, height: bottom - top, luma: cut };
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

// How much a shape, the pixels within and along its edge, is like a quadrilateral: the area that both share over the
// area that either has, 0.64 for an ellipse. The corners are the two points of the shape that lie furthest apart, and
// those furthest from the line between these on either side.
function likeQuadrilateral(inner, border, width) {
  const edge = border.map((i) => placeOf(i, width));
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

// Takes the paper's brightness from each pixel's. It is the one along the picture's edge; where that varies, as on a
// photograph, on which light falls unevenly, it is interpolated between the medians of 3 × 3 tiles.
function withoutPaper({ width, height, luma }) {
  const depth = 0.03 * Math.min(width, height);
  const edge = luma.filter((value, i) => {
    const [x, y] = placeOf(i, width);
    return !isNaN(value) && Math.min(x, y, width - 1 - x, height - 1 - y) < depth;
  });
  const level = median(edge);
  const spread = median(edge.map((value) => Math.abs(value - level)));
  const uneven = !(spread <= 0.004) && Math.min(width, height) >= 3; // also where a sheet's edge leaves nothing there
  if (!uneven) return { difference: luma.map((value) => value - level || 0), uneven };
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
    return value - (along(top) + (v - top) * (along(top + 1) - along(top))) || 0; // there is no ink beside a sheet
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

// Ink with strokes at least as wide as the pen's: MNIST has no lines as thin as those of a fine pen, scaled down.
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
