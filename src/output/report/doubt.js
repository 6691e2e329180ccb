"use strict";
// Whether an image looks unlike the training images of the class that it is taken for. The training
// program left a Gaussian for each class, over an image's means on a coarse grid, and a limit that
// it set on images kept aside; its output/doubt.rs has the formulas. This file needs only
// drawing.js.

// Returns pixels [rows × columns], a class and its probability → whether they are in doubt. Nothing
// is where the program left nothing.
function readDoubt(likeness, { rows, columns, classes }, bytesOf) {
  if (!likeness) return () => false;
  const { grid: [high, wide], scales, limit } = likeness;
  const [means, factors] = [likeness.means, likeness.factors].map((text) => new Float32Array(bytesOf(text).buffer));
  const [size, numbers] = [means.length / classes, factors.length / classes];
  const [across, down] = [spans(0, columns, columns / wide), spans(0, rows, rows / high)];
  return (pixels, label, probability) => {
    const cells = resampled({ width: columns, levels: pixels }, across, down).flat();
    const x = cells.map((value, i) => value / 255 - means[label * size + i]);
    const far = distance(x, factors.subarray(label * numbers, (label + 1) * numbers));
    const doubts = [far, Math.log(1 - probability + 1e-6)].map((value, which) => {
      const [median, spread] = scales[which];
      return Math.min(3, Math.max(-1, (value - median) / spread));
    });
    return total(doubts) > limit;
  };
}

// |L⁻¹x|² + 2 Σ ln Lᵢᵢ, with the rows of the lower triangle L one behind the other
function distance(x, factor) {
  const y = [];
  let [start, sum] = [0, 0];
  x.forEach((value, i) => {
    for (let j = 0; j < i; j++) value -= factor[start + j] * y[j];
    const diagonal = factor[start + i];
    y.push(value / diagonal);
    sum += y[i] ** 2 + 2 * Math.log(diagonal);
    start += i + 1;
  });
  return sum;
}
