"use strict";
// Several digits side by side: which strokes or which parts of a picture belong together. What is
// connected does; what is much lower than the highest part, as the bar of a 5, belongs to the part
// nearest to it; and so do parts of a digit that nearly touch. This file needs only drawing.js and
// picture.js.

const digitHeight = 0.5; // of the highest part's: what is lower is no digit of its own
const digitGap = 0.08; // of the same height: what is nearer is the same digit

// strokes → lists of strokes, one a digit, left to right
function strokesApart(strokes, penWidth, size) {
  if (strokes.length < 2) return [strokes];
  const scale = 200 / size; // fine enough to tell what touches
  const context = newContext(200, 200);
  context.scale(scale, scale);
  inkStrokes(context, strokes, penWidth);
  const { data: rgba } = context.getImageData(0, 0, 200, 200);
  const parts = regions(200, 200, (i) => rgba[4 * i + 3] > 127);
  const partAt = new Map(parts.flatMap((pixels, part) => pixels.map((i) => [i, part])));
  const pixelOf = ([x, y]) => [x, y].map((value) => Math.min(199, Math.floor(value * scale)));
  const partOf = (points) => points.map(pixelOf).map(([x, y]) => partAt.get(200 * y + x)).find((part) => part >= 0);
  const groups = apart(parts.map((pixels) => boxAround(pixels, 200)));
  return groups.map((group) => strokes.filter((points) => group.includes(partOf(points)))).filter(({ length }) => length);
}

// Ink → inks, one a digit, left to right
function inkApart(ink) {
  const { width, height, levels } = ink;
  const parts = regions(width, height, (i) => levels[i] > 0.25);
  const groups = apart(parts.map((pixels) => boxAround(pixels, width)));
  if (groups.length < 2) return [ink];
  return groups.map((group) => {
    const own = new Float32Array(levels.length);
    for (const part of group) for (const i of parts[part]) own[i] = levels[i];
    return { width, height, levels: own };
  });
}

// The boxes of the parts → lists of their numbers, one a digit, left to right
function apart(boxes) {
  const heightOf = ({ top, bottom }) => bottom - top;
  const highest = most(boxes.map(heightOf));
  const numbers = [...boxes.keys()].sort((a, b) => boxes[a].left - boxes[b].left);
  const groups = [];
  for (const n of numbers.filter((n) => heightOf(boxes[n]) > digitHeight * highest)) {
    const right = most((groups.at(-1) ?? []).map((before) => boxes[before].right));
    if (groups.length && boxes[n].left - right < digitGap * highest) groups.at(-1).push(n);
    else groups.push([n]);
  }
  const gap = (a, b) => Math.max(boxes[a].left - boxes[b].right, boxes[b].left - boxes[a].right);
  for (const n of numbers.filter((n) => heightOf(boxes[n]) <= digitHeight * highest)) {
    const away = groups.map((group) => least(group.map((other) => gap(n, other))));
    groups[away.indexOf(least(away))].push(n);
  }
  return groups;
}

function boxAround(pixels, width) {
  const places = pixels.map((i) => placeOf(i, width));
  const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
  return { left: least(xs), top: least(ys), right: most(xs) + 1, bottom: most(ys) + 1 };
}
