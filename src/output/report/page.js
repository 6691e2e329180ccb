"use strict";
// The page: the pad and its buttons, and the answer. network.js has the network, drawing.js turns a drawing into its pixels,
// picture.js a picture into ink, and sections.js has the still sections below.

// ---- Data: one JSON block that the training program wrote into the page.

const data = JSON.parse(document.getElementById("data").textContent);
const { rows, columns, classes } = data;
const names = data.class_names.length ? data.class_names : Array.from({ length: classes }, (_, label) => String(label));
const digits = names.join("") === "0123456789";
let network = null; // until its weights are there

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function alarm(text) {
  const place = document.getElementById("alarm");
  place.textContent = `Do not trust this page. ${text}`;
  place.hidden = false;
}

const predict = (pixels) => forward(network, pixels);

// Takes the network from the bytes of its file: those in the page or, if it is too large for that, those that are opened.
// Calls `refuse` with the reason where they are not this page's network.
function useNetwork(bytes, refuse) {
  try {
    const read = readNetwork(bytes);
    const [inputs, outputs] = [read.layers[0].fan_in, read.layers.at(-1).fan_out];
    if (inputs !== rows * columns || outputs !== classes) {
      const expected = `${rows * columns} and ${classes}`;
      throw new Error(`it has ${inputs} inputs and ${outputs} outputs, not ${expected}`);
    }
    network = read;
  } catch (error) {
    return refuse(`The network can't be read: ${error.message}.`);
  }
  say("");
  fillUnits(network.layers[0]);
  window.mnist.network = network;
  window.mnist.compared = compare(network, data.samples, refuse);
  refresh();
}

// The network of a page that has room for its own. If it is wrong, the page is.
const useOwn = () => useNetwork(bytesOf(data.weights),
  (why) => alarm(`${why} Whoever changes the network must change network.js too.`));

// What a page without its weights asks for.
const ask = "Drop or open the model.safetensors that lies beside this page.";
let wanted = data.weights ? "" : `This network is too large for its page. ${ask}`;

async function useFile(file) {
  say(`Reading ${file.name}…`);
  useNetwork(new Uint8Array(await file.arrayBuffer()), (why) => {
    network = null;
    document.getElementById("first-layer").hidden = true;
    wanted = `${file.name} is not this page's. ${why} ${ask}`;
    refresh();
  });
}

// The page's probabilities for the test images in it must be the training program's. One image at a time, so that the
// page answers meanwhile even where the network is large.
async function compare(compared, { pixels, probabilities }, refuse) {
  const [all, size] = [bytesOf(pixels), rows * columns];
  let difference = 0;
  for (const [n, expected] of probabilities.entries()) {
    await new Promise((resolve) => setTimeout(resolve));
    const got = forward(compared, all.subarray(n * size, (n + 1) * size));
    difference = Math.max(difference, ...got.map((value, label) => Math.abs(value - expected[label])));
  }
  if (compared !== network) return difference; // another has been opened meanwhile
  const images = `On ${probabilities.length} ${data.tested_on} images its probabilities`;
  if (difference <= 1e-3) {
    document.getElementById("agreement").textContent = "This page computes the network by itself. " +
      `${images} are those of the training program to within ${difference.toExponential(0)}.`;
  } else refuse(`${images} differ from the training program's by up to ${difference.toPrecision(2)}.`);
  return difference;
}

// ---- Drawing: strokes, one picture or one test image. Each change makes a new drawing; undo and
// redo go back and forth among them.

const pad = document.getElementById("pad");
const padPen = pad.width / 18;
const blank = { strokes: [] };
const drawings = [blank];
const idle = { pointer: null };
let position = 0; // of the current drawing
let hand = idle; // or the stroke under way
// Counts what the visitor does: a picture that is still being read at the next turn comes too late.
let turn = 0;

const current = () => drawings[position];
const isBlank = ({ strokes }) => strokes?.length === 0;

function change(next) {
  drawings.splice(position + 1, Infinity, next);
  go(1);
}

function go(steps) {
  turn++;
  position = Math.min(drawings.length - 1, Math.max(0, position + steps));
  say("");
  refresh();
}

function padPoint(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * pad.width, ((event.clientY - box.top) / box.height) * pad.height];
}

// One hand draws at a time: a palm or a second finger changes nothing. A pen takes the place of a
// hand that lay there before it. Outside of the pad, where it can't be seen, nothing is drawn: coming
// back starts another line.
pad.addEventListener("pointerdown", (event) => {
  const replaces = hand.type === "touch" && event.pointerType === "pen";
  if (event.button !== 0 || (hand !== idle && !replaces)) return;
  event.preventDefault();
  pad.setPointerCapture(event.pointerId);
  if (replaces) go(-1);
  // A stroke after a picture starts afresh.
  const strokes = [...(current().strokes ?? []), [padPoint(event)]];
  hand = { pointer: event.pointerId, type: event.pointerType, strokes, last: padPoint(event) };
  change({ strokes });
});

pad.addEventListener("pointermove", (event) => {
  if (event.pointerId !== hand.pointer) return;
  const coalesced = event.getCoalescedEvents?.() ?? [];
  for (const point of (coalesced.length ? coalesced : [event]).map(padPoint)) {
    const wasOn = onPad(hand.last);
    if (onPad(point) && !wasOn) hand.strokes.push([crossing(point, hand.last)]);
    if (onPad(point)) hand.strokes.at(-1).push(point);
    else if (wasOn) hand.strokes.at(-1).push(crossing(hand.last, point));
    hand.last = point;
  }
  refresh();
});

pad.addEventListener("lostpointercapture", (event) => { // when it is lifted, too
  if (event.pointerId !== hand.pointer) return;
  hand = idle;
  refresh();
});

const onPad = ([x, y]) => x >= 0 && y >= 0 && x <= pad.width && y <= pad.height;

// Where the line from a point on the pad to one outside leaves it.
function crossing(on, outside) {
  const part = (axis, size) => {
    const [from, to] = [on[axis], outside[axis]];
    return to < 0 ? from / (from - to) : to > size ? (size - from) / (to - from) : 1;
  };
  const t = Math.min(part(0, pad.width), part(1, pad.height));
  return on.map((from, axis) => from + t * (outside[axis] - from));
}

document.getElementById("undo").addEventListener("click", () => go(-1));
document.getElementById("redo").addEventListener("click", () => go(1));
document.getElementById("clear").addEventListener("click", () => isBlank(current()) || change(blank));
document.addEventListener("keydown", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  const steps = { z: event.shiftKey ? 1 : -1, y: 1 }[event.key.toLowerCase()];
  if (!steps) return;
  event.preventDefault();
  go(steps);
});

// ---- A picture, or the weights of a large network: from a file, dropped or pasted.

const file = document.getElementById("file");
document.getElementById("open").addEventListener("click", () => file.click());
file.addEventListener("change", () => {
  openFiles([...file.files]);
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
  openTransfer(event.dataTransfer);
});
document.addEventListener("paste", (event) => openTransfer(event.clipboardData));

function openTransfer({ files, items, types }) {
  const isFolder = [...items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
  if (isFolder) return say("That is a folder. Drop one picture out of it.");
  if (files.length) return openFiles([...files]);
  const isText = types.includes("text/plain");
  say(isText ? "That is text, not a picture." : "There is no picture in that.");
}

async function openFiles(files) {
  const isWeights = ({ name }) => name.endsWith(".safetensors");
  const [weights, others] = [files.find(isWeights), files.filter((file) => !isWeights(file))];
  if (weights && data.weights) return say("This page has its network already. Open a picture.");
  if (weights) await useFile(weights);
  const pictures = others.filter(({ type }) => type.startsWith("image/"));
  const picture = pictures[0] ?? others[0];
  if (!picture) return;
  say("Reading the picture…");
  const mine = ++turn;
  const decoded = await decode(picture);
  // Until the message has been painted.
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  if (mine !== turn) return;
  if (!decoded) return say(unreadable(picture));
  const ink = pictureInk(pixelsOf(decoded), digits);
  if (!ink) return say("There is nothing on that picture.");
  if (inkSize(ink) < smallestInk) return say("What is on that picture is too small to be read.");
  change({ ink });
  if (pictures.length > 1) say(`Only the first of the ${pictures.length} pictures is read.`);
}

function unreadable({ name, type }) {
  const kind = /\b(heic|heif|tiff?)$/i.exec(type || name);
  const named = kind?.[1].toUpperCase();
  if (kind) return `This browser can't read ${named} pictures. Save it as JPEG or PNG.`;
  return type.startsWith("image/") ? "That picture can't be read." : "That is not a picture.";
}

// ---- Test or held-out images: for each class the first that was taken for it; below, the mistakes.

function fillSamples({ pixels, probabilities }) {
  document.getElementById("samples-label").textContent = `Or take a ${data.tested_on} image`;
  const [all, size, answers] = [bytesOf(pixels), rows * columns, probabilities.map(argmax)];
  const firsts = [...names.keys()].map((label) => answers.indexOf(label)).filter((index) => index >= 0);
  for (const index of firsts.slice(0, 10)) {
    const image = all.subarray(index * size, (index + 1) * size);
    const name = `${testImage(index)}, read as ${names[answers[index]]}`;
    document.getElementById("samples").append(imageButton(image, name));
  }
}

// The network reads its very pixels.
function takeImage(pixels, name) {
  const levels = Float32Array.from(pixels, (p) => p / 255);
  change({ ink: { width: columns, height: rows, levels }, pixels, name });
  pad.scrollIntoView({ block: "nearest" });
}

// ---- Answer: what is drawn, what the network sees of it, and the probabilities, once a frame.

const mostBars = 12; // with more classes, only the likeliest are shown
const answer = { pixels: null, probabilities: null, readings: [] };
const isUnlike = readDoubt(data.doubt, bytesOf);
const bars = names.slice(0, mostBars).map(addBar);
let frame = 0;
let pause = 0;

function addBar() {
  const name = make("span", {});
  const bar = make("div", { className: "bar" });
  const text = make("span", { className: "percent" });
  const item = make("li", {}, name, make("div", { className: "track" }, bar), text);
  document.getElementById("bars").append(item);
  return { item, name, bar, text };
}

function refresh() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const { ink, strokes, pixels } = current();
    const images = pixels ? [pixels] : pieces(current()).map((piece) => prepare(piece, rows, columns));
    answer.readings = network ? images.map(readImage) : [];
    // Of several, the probabilities are the least sure one's.
    const worst = answer.readings.toSorted((a, b) => a.probability - b.probability)[0];
    answer.pixels = worst?.pixels ?? images[0] ?? null;
    answer.probabilities = worst?.probabilities ?? null;
    lightUnits(worst?.hidden);
    if (!network && wanted) say(wanted);
    if (!images.length && strokes.length && hand === idle) say("That is too small to be read. Draw something larger.");
    if (ink?.uneven && most(answer.probabilities ?? [1]) < 0.9) say("If this is not what you drew, crop the picture to it.");
    paintPad(current());
    showAnswer(answer, images);
  });
}

// What is drawn as inks: one for each digit, left to right; none where it is too small.
function pieces({ ink, strokes }) {
  if (ink) return ink.parts ?? [ink];
  const inks = (digits ? strokesApart(strokes, padPen, pad.width) : [strokes]).map((part) => strokesInk(part, padPen));
  return inks.includes(null) ? [strokesInk(strokes, padPen)].filter(Boolean) : inks;
}

function readImage(pixels) {
  const layers = outputs(network, pixels);
  const probabilities = Array.from(layers.at(-1));
  const label = argmax(probabilities);
  const [probability, unlike] = [probabilities[label], isUnlike(layers.slice(0, -1).flatMap((a) => [...a]))];
  return { pixels, probabilities, label, probability, unlike, unsure: unlike || probability < 0.5, hidden: layers[0] };
}

// The answer's text and what is said beside it: its probability, or why it is in doubt.
function shownOf(readings) {
  if (!readings.length) return [];
  const text = readings.map(({ label, unsure }) => names[label] + (unsure ? "?" : "")).join("");
  const [unlike, unsure] = [readings.some((reading) => reading.unlike), readings.some((reading) => reading.unsure)];
  if (unlike) return [text, `unlike the ${digits ? "digits" : "images"} that it was trained on`];
  const probability = percent(least(readings.map((reading) => reading.probability)));
  return [text, unsure ? `only ${probability}` : readings.length > 1 ? `each at least ${probability}` : probability];
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

function describe({ strokes, name }) {
  if (!strokes) return name ?? "A picture";
  if (!strokes.length) return "Drawing area, empty";
  return `A drawing of ${strokes.length} stroke${strokes.length > 1 ? "s" : ""}`;
}

function showAnswer({ probabilities, readings }, images) {
  document.getElementById("hint").hidden = !isBlank(current());
  pad.setAttribute("aria-label", describe(current()));
  const seen = images.length ? `The drawing in ${columns} × ${rows} pixels` : "Nothing yet";
  document.getElementById("seen").setAttribute("aria-label", seen);
  document.getElementById("undo").setAttribute("aria-disabled", position === 0);
  document.getElementById("redo").setAttribute("aria-disabled", position === drawings.length - 1);
  document.getElementById("clear").setAttribute("aria-disabled", isBlank(current()));
  const across = columns * Math.max(1, images.length);
  paintImage(document.getElementById("seen"), across, rows, (i) => {
    const [x, y] = placeOf(i, across);
    return grey(images.length ? images[Math.floor(x / columns)][y * columns + (x % columns)] : 0);
  });
  const first = probabilities && argmax(probabilities);
  const labels = [...names.keys()];
  if (classes > mostBars && probabilities) labels.sort((a, b) => probabilities[b] - probabilities[a]);
  bars.forEach(({ item, name, bar, text }, n) => {
    const probability = probabilities ? probabilities[labels[n]] : 0;
    item.classList.toggle("best", labels[n] === first);
    name.textContent = names[labels[n]];
    bar.style.transform = `scaleX(${probability})`;
    text.textContent = probabilities ? percent(probability) : "";
  });
  const shown = shownOf(readings);
  document.querySelector(".answer").classList.toggle("unsure", readings.some(({ unsure }) => unsure));
  document.getElementById("reading").replaceChildren(...shown.map((text) => make("span", {}, text)));
  clearTimeout(pause); // said once the hand rests, not at every move of it
  pause = setTimeout(() => (document.getElementById("spoken").textContent = shown.join(", ")), 400);
}

function say(text) {
  document.getElementById("message").textContent = text;
}

// Never 100 % for what is less.
const percent = (probability) => `${(probability < 1 ? Math.min(99.9, 100 * probability) : 100).toFixed(1)} %`;

// ---- The page as it opens.

const longest = most(names.map((name) => name.length));
document.body.classList.toggle("words", longest > 3);
document.body.classList.toggle("many", bars.length > 10);
document.body.style.setProperty("--names", `${Math.max(1.25, 0.65 * Math.min(12, longest))}rem`);
if (!digits) {
  document.title = "mnist-mlp: draw";
  document.querySelector("h1").textContent = "Draw";
}
fillSamples(data.samples);
fillList("accuracies", data.accuracies);
fillList("config", data.config);
fillConfusion(data.confusion);
fillMistakes(data.mistakes);
fillExamples(data.examples);
refresh();

if (data.doubt) {
  const kind = digits ? "digits" : "images";
  document.getElementById("doubt").textContent = `The page says “unlike the ${kind} that it was trained on” of about ` +
    `1 in 100 real ${kind}. Of others it says so often, but not always.`;
}

window.mnist = { data, predict, answer };
if (data.weights) useOwn();
