"use strict";
// From strokes to ink, and from ink to the pixels that the network reads, as MNIST was made (yann.lecun.com/exdb/mnist):
// the ink's box is scaled to 20 × 20 with its shape and grey levels kept, then placed in 28 × 28 by its centre of mass.
// This file needs no other.
//
// Ink is { width, height, levels }: levels [height × width] go from 0, paper, to 1, ink.

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

// From b to c, passing each in the direction from the point before it to the point after it (Catmull and Rom 1974): a
// quick hand leaves few points, and straight lines between them would have corners that it did not draw.
function curve(context, a, b, c, d) {
  const length = Math.hypot(c[0] - b[0], c[1] - b[1]);
  const control = (point, [x, y]) => {
    const part = Math.min(1 / 6, length / 3 / Math.hypot(x, y)) || 0; // no further than a third of the way
    return [point[0] + part * x, point[1] + part * y];
  };
  context.bezierCurveTo(...control(b, [c[0] - a[0], c[1] - a[1]]), ...control(c, [b[0] - d[0], b[1] - d[1]]), ...c);
}

// ---- Ink → pixels [rows × columns], 0 to 255

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
