"use strict";
// The sections below the pad: the run's configuration, its confusion matrix, its surest mistakes,
// the images it was trained on, and the first layer's units, which light up as one draws. page.js
// fills them.

// ---- What they are made of.

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

// The name is what shows under the pointer and what a screen reader says.
function nameCanvas(canvas, name) {
  canvas.title = name;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", name);
  return canvas;
}

// Of an image's pixels [rows × columns], 0 to 255.
const imagePicture = (pixels, name) => nameCanvas(imageCanvas(columns, rows, (i) => grey(pixels[i])), name);

// A click on it puts the image on the pad.
function imageButton(pixels, name) {
  const button = make("button", { type: "button", className: "image" }, imagePicture(pixels, name));
  button.addEventListener("click", () => takeImage(pixels, name));
  return button;
}

// ---- The sections, in the page's order.

function fillList(id, pairs) {
  const list = document.getElementById(id);
  for (const [label, text] of pairs) {
    const className = text.length > 40 ? "long" : "";
    list.append(make("div", { className }, make("dt", {}, label), make("dd", {}, plain(text))));
  }
}

// What Rust writes as `None`, `[128, 64]`, `Some(Deformation { scale: 0.1 })` or `CrossEntropy`.
function plain(text) {
  const words = { "[]": "none", None: "none", false: "no", true: "yes" };
  const apart = (name) => name.replace(/\B[A-Z](?=[a-z])/g, (letter) => ` ${letter.toLowerCase()}`);
  return words[text] ?? text.replace(/^Some\((\w+ \{ )?(.*?)( \})?\)$/, "$2").replace(/^\[(.*)\]$/, "$1")
    .replaceAll('"', "").replace(/^[A-Z]\w+$/, apart);
}

function fillConfusion(confusion) {
  const wrongOf = (label) => total(confusion[label]) - confusion[label][label];
  const mostClasses = 30;
  const worstFirst = [...names.keys()].sort((a, b) => wrongOf(b) - wrongOf(a));
  const labels = worstFirst.slice(0, mostClasses).sort((a, b) => a - b);
  const table = document.getElementById("confusion");
  table.style.minWidth = `${2.4 * labels.length}em`; // with many classes it scrolls
  const heading = (scope, label) => make("th", { scope }, make("span", {}, names[label]));
  table.createTHead().append(make("tr", {}, make("td", {}), ...labels.map((label) => heading("col", label))));
  const worst = most(labels.flatMap((truth) => labels.map((label) => (label === truth ? 1 : confusion[truth][label]))));
  const body = table.createTBody();
  for (const truth of labels) {
    const images = total(confusion[truth]);
    const cells = labels.map((label) => {
      const [count, right] = [confusion[truth][label], label === truth];
      const title = `${names[truth]} taken for ${names[label]}: ${count} of ${images}`;
      const cell = make("td", { className: right ? "right" : count ? "wrong" : "none", title }, count);
      cell.style.setProperty("--share", right ? count / Math.max(1, images) : Math.sqrt(count / worst));
      return cell;
    });
    body.append(make("tr", {}, heading("row", truth), ...cells));
  }
  const [all, wrong] = [total(confusion.map(total)), total([...names.keys()].map(wrongOf))];
  document.getElementById("confusion-note").textContent =
    `A row is the true ${digits ? "digit" : "class"}, a column the network's answer. ` +
    `${wrong.toLocaleString("en")} of ${all.toLocaleString("en")} answers on ${data.tested_on} images are wrong.` +
    (classes > mostClasses ? ` The ${mostClasses} of ${classes} classes with the most wrong answers are shown.` : "");
}

// "Test image 7", or "Held-out image 7".
function testImage(index) {
  return `${data.tested_on[0].toUpperCase()}${data.tested_on.slice(1)} image ${index}`;
}

function fillMistakes(mistakes) {
  if (!mistakes.length) document.getElementById("mistakes").append(make("p", {}, "It made none."));
  for (const { index, truth, prediction, probability, pixels } of mistakes) {
    const name = `${testImage(index)}, ${names[truth]} taken for ${names[prediction]}`;
    const caption = make("figcaption", {}, make("b", {}, names[truth]), " taken for ", make("b", {}, names[prediction]),
      make("small", {}, percent(probability)));
    document.getElementById("mistakes").append(make("figure", {}, imageButton(bytesOf(pixels), name), caption));
  }
}

function fillExamples(examples) {
  document.getElementById("deformed").hidden = !examples.length;
  examples.forEach((row, n) => {
    const name = (epoch) => `Training image ${n} ${epoch ? `in epoch ${epoch}` : "as it is"}`;
    const pictures = row.map((pixels, epoch) => imagePicture(bytesOf(pixels), name(epoch)));
    document.getElementById("examples").append(make("div", {}, ...pictures));
  });
}

// Colour says the sign, opacity the size, so that zero is the page's own colour in light and dark.
function fillUnits({ fan_in, fan_out, weight }) {
  document.getElementById("first-layer").hidden = false;
  document.getElementById("units").replaceChildren();
  const units = Math.min(fan_out, 128);
  const sizes = weight.subarray(0, units * fan_in).map(Math.abs);
  const limit = quantile(sizes, 0.995); // the few beyond it would leave the others pale
  for (let unit = 0; unit < units; unit++) {
    const picture = imageCanvas(columns, rows, (i) => {
      const value = weight[unit * fan_in + i];
      return [...(value < 0 ? [50, 125, 220] : [238, 122, 30]), (255 * Math.abs(value)) / limit];
    });
    document.getElementById("units").append(picture);
  }
  const which = units < fan_out ? `the first ${units} of its ${fan_out.toLocaleString("en")}` : `its ${fan_out}`;
  document.getElementById("units-note").replaceChildren(
    `The weights of ${which} units, laid out as the image. Ink where it is orange raises the unit, ink where it is ` +
    "blue lowers it. The units that the drawing raises light up. ",
    make("span", { className: "scale" }, `−${limit.toFixed(2)}`, make("i", {}), `+${limit.toFixed(2)}`));
}

// Each unit's activation as a share of the highest one shown; where nothing is drawn, all are shown alike.
function lightUnits(activations) {
  const units = document.getElementById("units");
  units.classList.toggle("lit", Boolean(activations));
  const highest = activations && Math.max(1e-9, most(activations.subarray(0, units.children.length)));
  [...units.children].forEach((picture, unit) => {
    picture.style.setProperty("--lit", activations ? Math.max(0, activations[unit]) / highest : 0);
    nameCanvas(picture, activations ? `Unit ${unit}: ${activations[unit].toFixed(2).replace("-", "−")}` : `Unit ${unit}`);
  });
}
