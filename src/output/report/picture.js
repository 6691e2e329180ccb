"use strict";
// From a photograph or another picture to its ink: what differs from the paper, darker or lighter,
// whichever there is more of. This file needs only drawing.js and several.js.

const smallestInk = 5; // pixels: what is drawn with fewer has no shape

// What a file shows, for drawImage, or null where the browser can't read it. Its type need not be
// known.
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

// ImageData → ink, or null where there is none. With `several`, parts that stand apart are inks of
// their own, in `parts`.
function pictureInk({ width, height, data: rgba }, several) {
  return inkOn(paperOf({ width, height, luma: brightness(rgba) }), several);
}

function inkOn(picture, several) {
  const paperless = withoutPaper(picture);
  if (paperless.within) return inkOn(cropped(picture, paperless.within), several);
  const { difference, lines } = isLarge(picture)
    ? withoutLines({ ...picture, levels: paperless.difference }) : { ...paperless, lines: 0 };
  const uneven = paperless.uneven || lines > 0;
  const darkest = most(difference);
  if (darkest < (uneven ? 0.15 : 0.05)) return null;
  // A clean picture keeps its greys, but for the noise that JPEG leaves around strokes. On a
  // photograph, grain, shadows and ruled lines are no ink, and the middle of a stroke is full ink
  // even where the pen was pressed less.
  const floor = (uneven ? 0.4 : isLarge(picture) ? 0.1 : 0) * darkest;
  const full = uneven ? quantile(difference.filter((d) => d > floor), 0.75) : darkest;
  const levels = difference.map((d) => Math.min(1, Math.max(0, d - floor) / (full - floor)));
  const blots = blotsOf({ ...picture, levels });
  const panel = !uneven && panelOf(blots, picture.width);
  if (panel) return inkOn(cropped(picture, panel), several);
  const ink = withoutSpecks({ ...picture, levels }, blots);
  // One by one: a pen is as thick as its digit is high.
  const parts = (several ? inkApart(ink) : [ink]).map(thickened);
  return parts.length > 1 ? { ...ink, uneven, parts } : { ...parts[0], uneven };
}

// Large enough for a photograph or a screenshot.
const isLarge = ({ width, height }) => Math.min(width, height) >= 100;

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

// A sheet of paper that lies on something darker, cut out, with NaN around it; the picture itself
// where there is none.
function paperOf(picture) {
  const { width, height, luma } = picture;
  if (!isLarge(picture)) return picture;
  const threshold = otsu(luma);
  const bright = regions(width, height, (i) => luma[i] > threshold);
  const sheet = bright.reduce((a, b) => (b.length > a.length ? b : a), []);
  const onSheet = new Uint8Array(luma.length);
  for (const i of sheet) onSheet[i] = 1;
  const inner = (i) =>
    i % width > 0 && i % width < width - 1 && i >= width && i < luma.length - width;
  const holes = regions(width, height, (i) => !onSheet[i]).filter((hole) => hole.every(inner));
  const written = holes.flat();
  for (const i of written) onSheet[i] = 1;
  const area = sheet.length + written.length;

  // The pixels of the sheet that are further than a margin from its edge, the nearer ones, and
  // those just beyond it.
  const margin = Math.ceil(0.02 * Math.sqrt(area));
  const [within, border, beyond] = [[], [], []];
  onSheet.forEach((sheet, i) => {
    const [x, y] = placeOf(i, width);
    const on = (nx, ny) =>
      nx >= 0 && ny >= 0 && nx < width && ny < height && onSheet[ny * width + nx];
    const near = on(x - margin, y) + on(x + margin, y) + on(x, y - margin) + on(x, y + margin);
    if (sheet) (near < 4 ? border : within).push(i);
    else if (near > 0) beyond.push(i);
  });
  const brightnessOf = (pixels) => median(pixels.map((i) => luma[i]));
  // It is large, brighter than what is around it, has four corners, and has something dark on it,
  // but less than there is inside of a white 0. What is around it takes more of the picture's edge
  // than a stroke that runs out there.
  const edge = [...luma.keys()].filter((i) => !inner(i));
  const isSheet = edge.filter((i) => !onSheet[i]).length > 0.2 * edge.length &&
    area > 0.15 * luma.length && brightnessOf(border) - brightnessOf(beyond) > 0.1 &&
    written.length > 0.0005 * area && written.length < 0.2 * area &&
    likeQuadrilateral(within, border, width) > 0.9;
  if (!isSheet) return picture;
  const { left, top, right, bottom } = boxOf(onSheet, width, 0);
  const cut = new Float32Array((right - left) * (bottom - top)).fill(NaN);
  for (const i of within) {
    const [x, y] = placeOf(i, width);
    cut[(y - top) * (right - left) + x - left] = luma[i];
  }
  return { width: right - left, height: bottom - top, luma: cut };
}

// The threshold between the dark and the bright that leaves the least variance within them (Otsu
// 1979).
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

// How much a shape, the pixels within and along its edge, is like a quadrilateral: the area that
// both share over the area that either has, 0.64 for an ellipse. The corners are the two points of
// the shape that lie furthest apart, and those furthest from the line between these on either side.
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

// How much more ink than paper there is at each pixel, 0 to 1, and whether the picture is a
// photograph; or the box that a photograph has `within` its margin. The paper of a clean picture
// has the brightness of the picture's edge.
function withoutPaper(picture) {
  const { width, height, luma } = picture;
  const depth = 0.03 * Math.min(width, height);
  const edge = luma.filter((value, i) => {
    const [x, y] = placeOf(i, width);
    return !isNaN(value) && Math.min(x, y, width - 1 - x, height - 1 - y) < depth;
  });
  const level = median(edge);
  const spread = median(edge.map((value) => Math.abs(value - level)));
  const flat = luma.map((value) => value - level || 0);
  const isSmooth = spread <= 0.004; // not so where a sheet's edge leaves nothing there
  const textured = isSmooth && isLarge(picture) && isTextured(flat);
  const box = textured && boxOf(flat.map(Math.abs), width, 0.008);
  if (box && Math.max(...sidesOf(box)) < 0.98 * Math.max(width, height)) return { within: box };
  const uneven = Math.min(width, height) >= 3 && (!isSmooth || textured);
  if (uneven) return { difference: withoutUneven(picture), uneven };
  const sign = signOf(flat);
  return { difference: flat.map((d) => Math.max(0, sign * d)), uneven };
}

// Whether paper is seen between the strokes: many pixels differ a little from the edge's
// brightness.
function isTextured(flat) {
  const limit = 0.3 * most(flat.map(Math.abs));
  return flat.filter((d) => Math.abs(d) > 0.008 && Math.abs(d) < limit).length > 0.2 * flat.length;
}

// Light falls unevenly on a photograph: the paper's brightness is taken from around. Ink is what
// differs most from the middle of a wide surrounding; then, if it is dark, paper is the brighter
// part of a narrower one.
function withoutUneven(picture) {
  const cells = cellsOf(picture);
  const apart = (part, reach) => {
    const paper = paperOfCells(cells, part, reach);
    return picture.luma.map((value, i) => value - paper(...placeOf(i, picture.width)) || 0);
  };
  const sign = signOf(apart(0.5, 6));
  return apart(sign < 0 ? 0.85 : 0.15, 4).map((d) => Math.max(0, sign * d));
}

// Which there is more of: what is lighter than paper, 1, or darker, −1.
function signOf(difference) {
  const energy = (sign) => total(difference.map((d) => Math.max(0, sign * d) ** 2));
  return energy(1) > energy(-1) ? 1 : -1;
}

// Takes the lines of ruled or squared paper away: straight, nearly level or upright, fainter than
// ink, and from side to side. Where a stroke runs along one, what is darker than the line stays.
function withoutLines({ width, height, levels }) {
  const turned = (values, wide) => {
    const high = values.length / wide;
    return values.map((_, i) => values[(i % high) * wide + Math.floor(i / high)]);
  };
  const level = withoutLevelLines(levels, width, height);
  const upright = withoutLevelLines(turned(level.values, width), height, width);
  return { difference: turned(upright.values, height), lines: level.lines + upright.lines };
}

function withoutLevelLines(values, width, height) {
  const darkest = most(values);
  const strips = stripMedians(values, width, height);
  const reach = Math.ceil(0.003 * width) + 1; // a line's half width
  const isThin = strips.map((strip) => Uint8Array.from(strip, (value, y) =>
    value - Math.max(strip[y - 2 * reach] ?? 0, strip[y + 2 * reach] ?? 0) > 0.06 * darkest));
  const rowAt = (line, x) => Math.round(line.middle + line.rise * ((x + 0.5) / width - 0.5));
  const middleOf = (n) => ((n + 0.5) * width) / strips.length; // of strip n
  const strengthOf = (line, offset) =>
    median(strips.map((strip, n) => strip[rowAt(line, middleOf(n)) + offset] ?? 0));
  const steepest = Math.ceil(0.06 * width);
  const candidates = [];
  for (let middle = 0; middle < height; middle++) {
    for (let rise = -steepest; rise <= steepest; rise++) {
      const line = { middle, rise };
      let missed = 0;
      for (let n = 0; n < strips.length && missed <= 0.2 * strips.length; n++) {
        if (!isThin[n][rowAt(line, middleOf(n))]) missed++;
      }
      if (missed > 0.2 * strips.length) continue;
      candidates.push({ ...line, strength: strengthOf(line, 0) });
    }
  }
  const lines = [];
  for (const line of candidates.sort((a, b) => b.strength - a.strength)) {
    const isNear = (other) => [-0.5, 0, 0.5].some((part) =>
      Math.abs(other.middle - line.middle + part * (other.rise - line.rise)) <= 2 * reach);
    if (line.strength < 0.7 * darkest && !lines.some(isNear)) lines.push(line);
  }
  const rest = values.slice();
  for (const line of lines) {
    for (let offset = -reach; offset <= reach; offset++) {
      const strength = strengthOf(line, offset);
      for (let x = 0; x < width; x++) {
        const i = (rowAt(line, x) + offset) * width + x;
        rest[i] = Math.max(0, rest[i] - strength);
      }
    }
  }
  return { values: rest, lines: lines.length };
}

// The picture is cut into 32 strips side by side: for each, the medians of its rows.
function stripMedians(values, width, height) {
  const edges = Array.from({ length: 33 }, (_, n) => Math.floor((n * width) / 32));
  return edges.slice(1).map((to, n) => Float32Array.from({ length: height }, (_, y) => {
    const row = values.slice(y * width + edges[n], y * width + to).sort();
    return row[row.length >> 1];
  }));
}

// The medians of square cells, 24 along the shorter side; NaN where there is nothing but what lies
// around a sheet.
function cellsOf({ width, height, luma }) {
  const size = Math.ceil(Math.min(width, height) / 24);
  const [across, down] = [Math.ceil(width / size), Math.ceil(height / size)];
  const values = Array.from({ length: across * down }, () => []);
  luma.forEach((value, i) => {
    const [x, y] = placeOf(i, width);
    if (!isNaN(value)) values[Math.floor(y / size) * across + Math.floor(x / size)].push(value);
  });
  return { size, across, down, medians: values.map((some) => (some.length ? median(some) : NaN)) };
}

// The paper's brightness at a pixel (x, y): of the cells in reach the one at that part in the order
// of their brightness, interpolated between the cells' centres. The reach is longer than the widest
// stroke.
function paperOfCells({ size, across, down, medians }, part, reach) {
  const around = (values, reach, of) => values.map((_, cell) => {
    const [x, y] = placeOf(cell, across);
    const near = [];
    for (let ny = Math.max(0, y - reach); ny <= Math.min(down - 1, y + reach); ny++) {
      for (let nx = Math.max(0, x - reach); nx <= Math.min(across - 1, x + reach); nx++) {
        if (!isNaN(values[ny * across + nx])) near.push(values[ny * across + nx]);
      }
    }
    return of(near);
  });
  const brightest = around(medians, reach, (near) => quantile(near, part));
  const paper = around(brightest, 1, (near) => total(near) / near.length);
  const within = (at, count) => Math.min(count - 1, Math.max(0, at));
  return (x, y) => {
    const [u, v] = [within((x + 0.5) / size - 0.5, across), within((y + 0.5) / size - 0.5, down)];
    const [left, top] = [Math.floor(u), Math.floor(v)];
    const [right, bottom] = [within(left + 1, across), within(top + 1, down)];
    const between = (a, b, part) => a + part * (b - a);
    const along = (row) => between(paper[row * across + left], paper[row * across + right], u - left);
    return between(along(top), along(bottom), v - top);
  };
}

// ---- Blots: the connected regions of ink.

// Each with its pixels, its mass, its box, how many of its pixels lie along the picture's edge, and
// how many along its own.
function blotsOf({ width, height, levels }) {
  const isInk = (x, y) =>
    x >= 0 && y >= 0 && x < width && y < height && levels[y * width + x] > visible;
  return regions(width, height, (i) => levels[i] > visible).map((pixels) => {
    const box = { left: Infinity, top: Infinity, right: 0, bottom: 0 };
    const blot = { ...box, pixels, mass: 0, contact: 0, outline: 0 };
    for (const i of pixels) {
      const [x, y] = placeOf(i, width);
      blot.mass += levels[i];
      [blot.left, blot.right] = [Math.min(blot.left, x), Math.max(blot.right, x + 1)];
      [blot.top, blot.bottom] = [Math.min(blot.top, y), Math.max(blot.bottom, y + 1)];
      if (x === 0 || y === 0 || x === width - 1 || y === height - 1) blot.contact++;
      const isInside = isInk(x - 1, y) && isInk(x + 1, y) && isInk(x, y - 1) && isInk(x, y + 1);
      if (!isInside) blot.outline++;
    }
    return blot;
  });
}

const sidesOf = ({ left, top, right, bottom }) => [right - left, bottom - top];

// The largest filled rectangle that may be a drawing area, or a photograph with a margin: its
// corners are filled too.
function panelOf(blots, width) {
  const panels = blots.filter((blot) => {
    const [wide, high] = sidesOf(blot);
    if (Math.min(wide, high) < 100 || Math.max(wide, high) > 2 * Math.min(wide, high)) return false;
    if (blot.pixels.length < 0.6 * wide * high) return false;
    const corner = 0.05 * Math.min(wide, high);
    const inCorner = blot.pixels.filter((i) => {
      const [x, y] = placeOf(i, width);
      return Math.min(x - blot.left, blot.right - 1 - x) < corner &&
        Math.min(y - blot.top, blot.bottom - 1 - y) < corner;
    });
    return inCorner.length > 0.9 * 4 * Math.ceil(corner) ** 2;
  });
  return panels.sort((a, b) => b.pixels.length - a.pixels.length)[0];
}

// What lies within a box, without its rim.
function cropped({ width, luma }, box) {
  const rim = Math.ceil(0.02 * Math.min(...sidesOf(box)));
  const [wide, high] = sidesOf(box).map((side) => side - 2 * rim);
  const at = (i) => (box.top + rim + Math.floor(i / wide)) * width + box.left + rim + (i % wide);
  const inside = Float32Array.from({ length: wide * high }, (_, i) => luma[at(i)]);
  return { width: wide, height: high, luma: inside };
}

// Keeps the blot that is most like a digit, by its mass and height, and what may be more of it, or
// further digits beside it. Specks, frames, shadows and what is written above or below are dropped.
function withoutSpecks({ width, height, levels }, blots) {
  const like = (blot) => blot.mass * (blot.bottom - blot.top);
  const likest = (some) => some.reduce((a, b) => (like(b) > like(a) ? b : a));
  const speck = 0.03 * most(blots.map(({ mass }) => mass));
  const large = blots.filter(({ mass }) => mass > 0.03 * speck);
  const unframed = large.filter((blot) => !isFrame(blot, large, width));
  const drawn = unframed.filter((blot) => !isBackground(blot, width, height));
  const candidates = drawn.some(({ mass }) => mass > speck) ? drawn : unframed;
  const main = likest(candidates);
  // Beside a digit that lies within the picture, one at its edge is a neighbour that was cut,
  // unless it is above or below.
  const shared = ({ left, right }) => Math.min(right, main.right) - Math.max(left, main.left);
  const isPart = (blot) => blot === main || (blot.mass > 0.03 * main.mass &&
    (!blot.contact || main.contact > 0 || shared(blot) > 0.5 * (blot.right - blot.left)));
  let rest = candidates.filter(isPart);
  let [top, bottom] = [main.top, main.bottom];
  const kept = new Float32Array(levels.length);
  for (let near = [main]; near.length; ) {
    for (const blot of near) for (const i of blot.pixels) kept[i] = levels[i];
    top = Math.min(top, ...near.map((blot) => blot.top));
    bottom = Math.max(bottom, ...near.map((blot) => blot.bottom));
    rest = rest.filter((blot) => !near.includes(blot));
    const reach = 0.15 * (bottom - top);
    near = rest.filter((blot) => blot.bottom > top - reach && blot.top < bottom + reach);
  }
  return { width, height, levels: kept };
}

// A rectangle drawn around something else: of a button, or of the area to draw in.
function isFrame(blot, blots, width) {
  const isInside = (other) => other !== blot &&
    other.left > blot.left && other.right < blot.right &&
    other.top > blot.top && other.bottom < blot.bottom;
  const rim = 0.06 * Math.min(...sidesOf(blot));
  const onRim = blot.pixels.filter((i) => {
    const [x, y] = placeOf(i, width);
    return Math.min(x - blot.left, blot.right - 1 - x, y - blot.top, blot.bottom - 1 - y) <= rim;
  });
  return onRim.length > 0.95 * blot.pixels.length && blots.some(isInside);
}

// Whether a blot is a shadow, a finger or a frame at the picture's edge, or a line from side to
// side. A stroke that runs out of the picture has only its end there.
function isBackground({ left, top, right, bottom, contact, outline }, width, height) {
  const crosses = (left === 0 && right === width) || (top === 0 && bottom === height);
  return contact > 0.2 * outline || crosses;
}

// The connected regions of the pixels that are inside, each a list of its pixels.
function regions(width, height, inside) {
  const found = new Uint8Array(width * height);
  const all = [];
  for (let first = 0; first < found.length; first++) {
    if (found[first] || !inside(first)) continue;
    const pixels = [first];
    found[first] = 1;
    for (let next = 0; next < pixels.length; next++) {
      const [x, y] = placeOf(pixels[next], width);
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const i = ny * width + nx;
          if (found[i] || !inside(i)) continue;
          found[i] = 1;
          pixels.push(i);
        }
      }
    }
    all.push(pixels);
  }
  return all;
}

// Ink with strokes at least as wide as the pen's: MNIST has no lines as thin as those of a fine
// pen, scaled down.
function thickened(ink) {
  const { left, top, right, bottom } = boxOf(ink.levels, ink.width, visible);
  const step = Math.max(right - left, bottom - top) / fine;
  if (step < 0.25) return ink; // too coarse to be a photograph
  const levels = resampled(ink, spans(left, right, step), spans(top, bottom, step)).flat();
  const [width, height] = [spans(left, right, step).length, spans(top, bottom, step).length];
  for (let radius = 0; ; radius++) {
    const thick = dilated({ width, height, levels }, radius);
    const isWide = strokeWidth(prepare(thick, 28, 28), 28) >= 20 * pen;
    if (radius > fine * pen / 2 || isWide) return radius ? thick : ink;
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

// The mean width of an image's strokes: across one the level rises once and falls once, so that
// twice the ink over all the change is the width.
function strokeWidth(pixels, columns) {
  const at = (i) => pixels[i] ?? 0;
  let change = 0;
  pixels.forEach((a, i) => {
    const [b, c, d] = [at(i + 1), at(i + columns), at(i + columns + 1)];
    change += Math.hypot(b + d - a - c, c + d - a - b) / 2;
  });
  return (2 * total(pixels)) / change;
}
