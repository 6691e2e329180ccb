"use strict";
// Whether an image is unlike those that the network was trained on. A second network says so, of the first one's
// activations in its hidden layers; the training program's output/doubt.rs has how it was made. This file needs only
// network.js.

// Returns activations [hidden units], all layers' in a row → whether their image is in doubt. Nothing is where the
// program left nothing.
function readDoubt(doubt, bytesOf) {
  if (!doubt) return () => false;
  const [means, deviations] = doubt.scales.map((text) => new Float32Array(bytesOf(text).buffer));
  const network = readNetwork(bytesOf(doubt.weights));
  const level = (a, i) => Math.min(255, Math.max(0, Math.round(127.5 + (40 * (a - means[i])) / deviations[i])));
  return (activations) => forward(network, activations.map(level))[1] > doubt.limit;
}
