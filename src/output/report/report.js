"use strict";
// The report's page, in the data's order: data, network, drawing, preparation, answer, and the still sections.

// ---- Data: one JSON block that the training program wrote into the page.

const data = JSON.parse(document.getElementById("data").textContent);
const { rows, columns, classes } = data;
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

// ---- Network: the forward pass, summed in f64 over the same f32 weights.

const layers = layersOf(new Float32Array(bytesOf(data.weights).buffer), data.layers);

// Each layer's weight [fan_in × fan_out], row-major, then its bias [fan_out], one after the other in one array.
function layersOf(values, shapes) {
  let at = 0;
  const take = (count) => values.subarray(at, (at += count));
  return shapes.map((shape) => ({ ...shape, weight: take(shape.fan_in * shape.fan_out), bias: take(shape.fan_out) }));
}

// pixels [rows × columns], 0 to 255 → probabilities [classes]
function predict(pixels) {
  let x = Float64Array.from(pixels, (p) => (p - 127.5) / 255);
  for (const layer of layers) {
    const z = affine(x, layer);
    x = layer === layers.at(-1) ? softmax(z) : z.map((value) => 1 / (1 + Math.exp(-value)));
  }
  return Array.from(x);
}

// z = x·W + b
function affine(x, { fan_in, fan_out, weight, bias }) {
  const z = Float64Array.from(bias);
  for (let i = 0; i < fan_in; i++) {
    for (let j = 0; j < fan_out; j++) z[j] += x[i] * weight[i * fan_out + j];
  }
  return z;
}

function softmax(z) {
  const largest = Math.max(...z);
  const powers = z.map((value) => Math.exp(value - largest));
  const sum = total(powers);
  return powers.map((power) => power / sum);
}

const best = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

// ---- Drawing: strokes or one picture. Each change makes a new drawing, so undo is going back to the last one.

const pad = document.getElementById("pad");
const padPen = pad.width / 18;
const blank = { strokes: [] };
const drawings = [blank];
const idle = { pointer: null };
let hand = idle; // or the stroke under way

const current = () => drawings.at(-1);
const isBlank = ({ strokes }) => strokes?.length === 0;

// next, or back to the last one where that is null
function change(next) {
  if (next) drawings.push(next);
  else if (drawings.length > 1) drawings.pop();
  say("");
  refresh();
}

const undo = () => change(null);
const clear = () => isBlank(current()) || change(blank);

function padPoint(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
}

pad.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  event.preventDefault();
  pad.setPointerCapture(event.pointerId);
  hand = { pointer: event.pointerId, points: [padPoint(event)] };
  change({ strokes: [...(current().strokes ?? []), hand.points] }); // a stroke after a picture starts afresh
});

pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== hand.pointer) return;
  const coalesced = event.getCoalescedEvents?.() ?? [];
  hand.points.push(...(coalesced.length ? coalesced : [event]).map(padPoint));
  refresh();
});

for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (hand = idle));

document.getElementById("undo").addEventListener("click", undo);
document.getElementById("clear").addEventListener("click", clear);
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z") undo();
});

// ---- A picture: from a file, dropped or pasted.

const file = document.getElementById("file");
document.getElementById("open").addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  openPicture(file.files);
  file.value = ""; // the same file again is a change again
});

const padFrame = pad.parentElement;
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // else the browser leaves the page for the file
  padFrame.classList.add("dropping");
});
document.addEventListener("dragleave", () => padFrame.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  padFrame.classList.remove("dropping");
  openPicture(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => openPicture(event.clipboardData.files));

async function openPicture(files) {
  const picture = [...files].find(({ type }) => type.startsWith("image/"));
  if (!picture) return say("That is not a picture.");
  const bitmap = await createImageBitmap(picture).catch(() => null);
  if (!bitmap) return say("That picture can't be read.");
  const ink = pictureInk(pixelsOf(bitmap));
  if (ink) change({ ink });
  else say("There is nothing on that picture.");
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

// ---- Preparation, as MNIST was made (yann.lecun.com/exdb/mnist): the ink's box scaled to 20 × 20 with its shape and
// grey levels kept, then placed in 28 × 28 by its centre of mass. Ink is { width, height, levels }, a level 0 to 1.

const fitted = 20 / 28; // of the image's side
const pen = 2.3 / 20; // of the box: the median thickness of the strokes in MNIST's test images
const visible = 0.02; // the level from which ink counts for its box

// Strokes are inked with the same pen whatever the size of the drawing, at eight times the final resolution.
function strokesInk(strokes) {
  const points = strokes.flat();
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [left, top] = [least(xs), least(ys)];
  const [across, down] = [most(xs) - left, most(ys) - top];
  const length = Math.max(across, down);
  if (length < padPen) return null; // nothing, or a dot
  const size = 8 * fitted * Math.max(rows, columns);
  const scale = (size * (1 - pen)) / length;
  const context = newContext(Math.ceil(across * scale + size * pen), Math.ceil(down * scale + size * pen));
  const { width, height } = context.canvas;
  context.translate((size * pen) / 2, (size * pen) / 2);
  context.scale(scale, scale);
  context.translate(-left, -top);
  inkStrokes(context, strokes, (size * pen) / scale);
  const { data: rgba } = context.getImageData(0, 0, width, height);
  return { width, height, levels: Float32Array.from({ length: width * height }, (_, i) => rgba[4 * i + 3] / 255) };
}

function inkStrokes(context, strokes, lineWidth) {
  Object.assign(context, { lineWidth, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...points[0]);
    for (const [x, y] of points) context.lineTo(x + 0.01, y); // a lone point is a line too, else it is not drawn
    context.stroke();
  }
}

// What differs from the paper is ink, darker or lighter, whichever there is more of.
function pictureInk({ width, height, data: rgba }) {
  const { difference, uneven } = withoutPaper(brightness(rgba), width, height);
  const energy = (sign) => total(difference.map((d) => Math.max(0, sign * d) ** 2));
  const sign = energy(1) > energy(-1) ? 1 : -1;
  const contrast = most(difference.map((d) => sign * d));
  if (contrast < (uneven ? 0.15 : 0.05)) return null;
  const floor = uneven ? 0.4 * contrast : 0; // above grain, shadows and ruled lines; a clean picture keeps all its greys
  const levels = difference.map((d) => Math.max(0, sign * d - floor) / (contrast - floor));
  return withoutSpecks({ width, height, levels });
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

// The paper is what lies along the picture's edge; where that is not of one brightness, as on a photograph, on which
// light falls unevenly, it is the medians of 3 × 3 tiles with straight lines between them.
function withoutPaper(luma, width, height) {
  const depth = 0.03 * Math.min(width, height);
  const edge = luma.filter((_, i) => {
    const [x, y] = placeOf(i, width);
    return Math.min(x, y, width - 1 - x, height - 1 - y) < depth;
  });
  const level = median(edge);
  const uneven = median(edge.map((value) => Math.abs(value - level))) > 0.004 && Math.min(width, height) >= 3;
  if (!uneven) return { difference: luma.map((value) => value - level), uneven };
  const tiles = Array.from({ length: 9 }, () => []);
  const inTiles = (i) => placeOf(i, width).map((at, axis) => (3 * (at + 0.5)) / (axis ? height : width));
  luma.forEach((value, i) => {
    const [u, v] = inTiles(i);
    tiles[3 * Math.floor(v) + Math.floor(u)].push(value);
  });
  const paper = tiles.map(median);
  const difference = luma.map((value, i) => {
    const [u, v] = inTiles(i).map((t) => t - 0.5); // from the first tile's centre
    const [left, top] = [Number(u > 1), Number(v > 1)];
    const along = (row) => paper[3 * row + left] + (u - left) * (paper[3 * row + left + 1] - paper[3 * row + left]);
    return value - (along(top) + (v - top) * (along(top + 1) - along(top)));
  });
  return { difference, uneven };
}

// Drops the blots that touch the picture's edge (shadows, frames) if others are left, and those much smaller than the
// largest.
function withoutSpecks(ink) {
  const { width, height, levels } = ink;
  const blots = [];
  const found = new Uint8Array(levels.length);
  const take = (i, blot) => {
    if (found[i] || levels[i] <= visible) return;
    found[i] = 1;
    blot.pixels.push(i);
  };
  for (let start = 0; start < levels.length; start++) {
    const blot = { pixels: [], mass: 0, touches: false };
    take(start, blot);
    for (let next = 0; next < blot.pixels.length; next++) {
      const i = blot.pixels[next];
      const [x, y] = placeOf(i, width);
      blot.mass += levels[i];
      blot.touches ||= x === 0 || y === 0 || x === width - 1 || y === height - 1;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) take(ny * width + nx, blot);
      }
    }
    if (blot.mass) blots.push(blot);
  }
  const massOf = (some) => total(some.map(({ mass }) => mass));
  const inner = blots.filter(({ touches }) => !touches);
  const candidates = massOf(inner) > 0.03 * massOf(blots) ? inner : blots;
  const largest = most(candidates.map(({ mass }) => mass));
  const kept = new Set(candidates.filter(({ mass }) => mass >= 0.03 * largest));
  for (const blot of blots) if (!kept.has(blot)) for (const i of blot.pixels) levels[i] = 0;
  return ink;
}

// ink → pixels [rows × columns], 0 to 255
function prepare({ width, height, levels }) {
  let [left, top, right, bottom] = [width, height, 0, 0]; // the box of the visible ink
  levels.forEach((level, i) => {
    if (level <= visible) return;
    const [x, y] = placeOf(i, width);
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  });
  const step = Math.max((right - left) / columns, (bottom - top) / rows) / fitted; // ink pixels per image pixel
  const [across, down] = [spans(left, right, step), spans(top, bottom, step)];
  const box = down.map((ys) => across.map((xs) => {
    let sum = 0;
    for (const [y, high] of ys) for (const [x, wide] of xs) sum += levels[y * width + x] * high * wide;
    return sum;
  }));
  const shiftY = shift(box.map(total), rows);
  const shiftX = shift(across.map((_, x) => total(box.map((line) => line[x]))), columns);
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

// Cuts from..to into steps, for area averaging: for each step the [pixel, covered part of it] that it spans.
function spans(from, to, step) {
  return Array.from({ length: Math.ceil((to - from) / step - 1e-9) }, (_, n) => {
    const [start, end] = [from + n * step, Math.min(to, from + (n + 1) * step)];
    const parts = [];
    for (let i = Math.floor(start); i < end; i++) parts.push([i, Math.min(end, i + 1) - Math.max(start, i)]);
    return parts;
  });
}

const placeOf = (i, width) => [i % width, Math.floor(i / width)];
const total = (values) => values.reduce((sum, value) => sum + value, 0);
const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
const quantile = (values, part) => Float32Array.from(values).sort()[Math.floor(part * (values.length - 1))];
const median = (values) => quantile(values, 0.5);

// ---- Answer: what is drawn, what the network sees of it, and the probabilities, once a frame.

const answer = { pixels: null, probabilities: null };
const digit = document.getElementById("digit");
const spoken = document.getElementById("spoken");
const seen = document.getElementById("seen");
const bars = Array.from({ length: classes }, (_, label) => addBar(label));
let frame = 0;
let pause = 0;

function addBar(label) {
  const bar = make("div", { className: "bar" });
  const text = make("span", { className: "percent" });
  const item = make("li", {}, make("span", {}, label), make("div", { className: "track" }, bar), text);
  document.getElementById("bars").append(item);
  return { item, bar, text };
}

function refresh() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const ink = current().ink ?? strokesInk(current().strokes);
    answer.pixels = ink && prepare(ink);
    answer.probabilities = ink && predict(answer.pixels);
    paintPad(current());
    showAnswer(answer);
  });
}

function paintPad({ strokes, ink }) {
  const context = pad.getContext("2d");
  context.clearRect(0, 0, pad.width, pad.height);
  if (strokes) return inkStrokes(context, strokes, padPen);
  const scale = Math.min(pad.width / ink.width, pad.height / ink.height);
  const [width, height] = [ink.width * scale, ink.height * scale];
  context.drawImage(imageCanvas(ink.width, ink.height, (i) => grey(255 * ink.levels[i])),
    (pad.width - width) / 2, (pad.height - height) / 2, width, height);
}

function showAnswer({ pixels, probabilities }) {
  document.getElementById("hint").hidden = !isBlank(current());
  document.getElementById("undo").setAttribute("aria-disabled", drawings.length === 1);
  document.getElementById("clear").setAttribute("aria-disabled", isBlank(current()));
  paintImage(seen, columns, rows, (i) => grey(pixels ? pixels[i] : 0));
  const first = probabilities ? best(probabilities) : -1;
  bars.forEach(({ item, bar, text }, label) => {
    const probability = probabilities?.[label] ?? 0;
    item.classList.toggle("best", label === first);
    bar.style.transform = `scaleX(${probability})`;
    text.textContent = probabilities ? percent(probability) : "";
  });
  digit.replaceChildren(...(probabilities ? [String(first), make("span", {}, percent(probabilities[first]))] : []));
  clearTimeout(pause); // said once the hand rests, not at every move of it
  const text = probabilities ? `${first}, ${percent(probabilities[first])}` : "";
  pause = setTimeout(() => (spoken.textContent = text), 400);
}

function say(text) {
  document.getElementById("message").textContent = text;
}

// Never 100 % for what is less.
const percent = (probability) => `${(probability < 1 ? Math.min(99.9, 100 * probability) : 100).toFixed(1)} %`;

// ---- What the sections are made of.

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// colour(i) is the [red, green, blue, alpha] of pixel i.
function paintImage(canvas, width, height, colour) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set(colour(i), 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

const imageCanvas = (width, height, colour) => paintImage(document.createElement("canvas"), width, height, colour);
const grey = (level) => [level, level, level, 255];

// ---- The still sections.

function fillList(id, pairs) {
  const list = document.getElementById(id);
  for (const [label, text] of pairs) list.append(make("div", {}, make("dt", {}, label), make("dd", {}, text)));
}

function fillConfusion(confusion) {
  const table = document.getElementById("confusion");
  table.style.minWidth = `${2.4 * classes}em`; // with many classes it scrolls
  const heading = (scope, label) => make("th", { scope }, label);
  table.createTHead().append(make("tr", {}, make("td", {}), ...confusion.map((_, label) => heading("col", label))));
  const mistakes = confusion.flatMap((counts, truth) => counts.filter((_, prediction) => prediction !== truth));
  const worst = Math.max(1, ...mistakes);
  const body = table.createTBody();
  confusion.forEach((counts, truth) => {
    const images = total(counts);
    const cells = counts.map((count, prediction) => {
      const right = prediction === truth;
      const title = `${truth} read as ${prediction}: ${count} of ${images}`;
      const cell = make("td", { className: right ? "right" : count ? "wrong" : "none", title }, count);
      cell.style.setProperty("--share", right ? count / Math.max(1, images) : Math.sqrt(count / worst));
      return cell;
    });
    body.append(make("tr", {}, heading("row", truth), ...cells));
  });
  const [all, wrong] = [total(confusion.flat()), total(mistakes)];
  document.getElementById("confusion-note").textContent = `A row is the true digit, a column what the network read. ` +
    `It misread ${wrong.toLocaleString("en")} of ${all.toLocaleString("en")} test images.`;
}

function fillMistakes(mistakes) {
  if (!mistakes.length) document.getElementById("mistakes").append("It made none.");
  for (const { index, truth, prediction, probability, pixels } of mistakes) {
    const levels = bytesOf(pixels);
    const picture = imageCanvas(columns, rows, (i) => grey(levels[i]));
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `Test image ${index}`);
    const caption = make("figcaption", {}, make("b", {}, truth), " read as ", make("b", {}, prediction),
      make("small", {}, percent(probability)));
    document.getElementById("mistakes").append(make("figure", { title: `Test image ${index}` }, picture, caption));
  }
}

// Colour says the sign, opacity the size, so that zero is the page's own colour in light and dark.
function fillUnits({ fan_out, weight }) {
  const limit = quantile(weight.map(Math.abs), 0.995); // the few beyond it would leave all others pale
  for (let unit = 0; unit < fan_out; unit++) {
    const picture = imageCanvas(columns, rows, (i) => {
      const value = weight[i * fan_out + unit];
      return [...(value < 0 ? [50, 125, 220] : [238, 122, 30]), (255 * Math.abs(value)) / limit];
    });
    document.getElementById("units").append(Object.assign(picture, { title: `Unit ${unit}` }));
  }
  document.getElementById("units-note").append(
    `The weights of each of its ${fan_out} units, laid out as the image. Ink where it is orange raises the unit, ` +
    `ink where it is blue lowers it: `,
    make("span", { className: "scale" }, `−${limit.toFixed(2)}`, make("i", {}), `+${limit.toFixed(2)}`));
}

// The largest difference between this page's probabilities and the training program's own, over the embedded images.
function disagreement({ pixels, probabilities }) {
  const all = bytesOf(pixels);
  const size = rows * columns;
  return most(probabilities.map((expected, n) => {
    const got = predict(all.subarray(n * size, (n + 1) * size));
    return most(got.map((value, label) => Math.abs(value - expected[label])));
  }));
}

fillList("accuracies", data.accuracies);
fillList("config", data.config);
fillConfusion(data.confusion);
fillMistakes(data.mistakes);
fillUnits(layers[0]);
refresh();
setTimeout(() => {
  document.getElementById("agreement").textContent = `On ${data.samples.probabilities.length} test images this ` +
    `page's probabilities are those of the training program to within ${disagreement(data.samples).toExponential(0)}.`;
});

window.mnist = { data, predict, answer };
