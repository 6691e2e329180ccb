"use strict";
// The network: its layers, read from the bytes of model.safetensors, and its forward pass. This file
// needs no other. The weights are the training program's f32; sums are taken in f64.

// Applied to every number of a hidden layer's output.
const activations = {
  Sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  Tanh: (z) => Math.tanh(z),
  ReLU: (z) => Math.max(0, z),
  SiLU: (z) => z / (1 + Math.exp(-z)),
};

// A safetensors file is the length of its header (8 bytes, little-endian), the header as JSON, and then all numbers as
// little-endian f32. The header says for each tensor where its numbers begin and end.
function readNetwork(bytes) {
  const { header, start } = readHeader(bytes);
  const numbers = (name, count) => {
    const { dtype, data_offsets } = header[name] ?? {};
    const found = Object.keys(header).slice(0, 4).join(", ");
    if (!data_offsets) throw new Error(`it has no tensor ${name}, but ${found}`);
    const [from, to] = data_offsets;
    if (dtype !== "F32") throw new Error(`its numbers are ${dtype}, and only F32 is known here`);
    const size = (to - from) / 4;
    if (size !== count) throw new Error(`${name} has ${size} numbers instead of ${count}`);
    if (start + to > bytes.length) throw new Error(`it is cut off after ${bytes.length} bytes`);
    return new Float32Array(bytes.slice(start + from, start + to).buffer);
  };
  const layers = [];
  // 0.weight, 0.bias, 2.weight, …, as PyTorch names them
  for (let l = 0; l === 0 || header[`${l}.weight`]; l += 2) {
    const [fan_out, fan_in] = header[`${l}.weight`]?.shape ?? [];
    const weight = numbers(`${l}.weight`, fan_out * fan_in);
    const fits = l === 0 || fan_in === layers.at(-1).fan_out;
    if (!fits) throw new Error(`${l}.weight does not fit the layer before it`);
    layers.push({ fan_in, fan_out, weight, bias: numbers(`${l}.bias`, fan_out) });
  }
  const name = header.__metadata__?.activation ?? "Sigmoid";
  if (!Object.hasOwn(activations, name)) throw new Error(`its activation is ${name}, which network.js does not know`);
  return { layers, activation: activations[name] };
}

function readHeader(bytes) {
  const view = new DataView(bytes.buffer);
  const start = bytes.length < 8 ? Infinity : 8 + Number(view.getBigUint64(0, true));
  try {
    const text = new TextDecoder().decode(bytes.subarray(8, start));
    if (start <= bytes.length) return { start, header: JSON.parse(text) };
  } catch {} // said below
  throw new Error("it is not a safetensors file, or only the beginning of one");
}

// pixels [rows × columns], 0 to 255 → probabilities [classes]
const forward = (network, pixels) => Array.from(outputs(network, pixels).at(-1));

// The same → what each layer puts out: the hidden ones activations [fan_out], the last one the probabilities.
function outputs({ layers, activation }, pixels) {
  let x = Float64Array.from(pixels, (p) => (p - 127.5) / 255);
  return layers.map((layer) => {
    const z = linear(layer, x);
    x = layer === layers.at(-1) ? softmax(z) : z.map((value) => activation(value));
    return x;
  });
}

// z = W·x + b, with W [fan_out × fan_in] row-major
function linear({ fan_in, fan_out, weight, bias }, x) {
  return Float64Array.from(bias, (sum, j) => {
    for (let i = 0; i < fan_in; i++) sum += weight[j * fan_in + i] * x[i];
    return sum;
  });
}

// Less the largest, so that no power overflows.
function softmax(z) {
  const largest = z.reduce((a, b) => Math.max(a, b));
  const powers = z.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

// The largest probability's index; of equal ones the first.
const argmax = (probabilities) => probabilities.indexOf(probabilities.reduce((a, b) => Math.max(a, b)));
