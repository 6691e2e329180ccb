"""Reads a run's model.safetensors with the real safetensors package and checks our test accuracy with NumPy:
python check_model.py RUN_FOLDER DATA_FOLDER

Needs the PyPI packages numpy and safetensors. Prints one line, and ends with exit code 1 if anything differs.
"""
import csv, gzip, pathlib, sys
import numpy as np
from safetensors import safe_open


def values(folder, name, header):
    """The bytes of an IDX file, which lies there plain or gzipped, after so many of header."""
    path = pathlib.Path(folder, name)
    content = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(name + ".gz").read_bytes())
    return np.frombuffer(content, np.uint8, offset=header)


def main(run, data):
    with safe_open(pathlib.Path(run, "model.safetensors"), "numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    labels = values(data, "t10k-labels-idx1-ubyte", 8)
    pixels = values(data, "t10k-images-idx3-ubyte", 16).reshape(len(labels), int(metadata["rows"]) * int(metadata["columns"]))

    x, last = (pixels.astype(np.float32) - np.float32(127.5)) / np.float32(255), len(tensors) // 2 - 1
    for l in range(last + 1):
        x = x @ tensors[f"{2 * l}.weight"].T + tensors[f"{2 * l}.bias"]
        if l < last:
            x = 1 / (1 + np.exp(-x))
    assert x.dtype == np.float32, x.dtype
    right = int((x.argmax(1) == labels).sum())

    printed = metadata["final_test_accuracy"].split()[0]
    with open(pathlib.Path(run, "history.csv"), newline="") as file:
        ours = round(float(list(csv.DictReader(file))[-1]["test_accuracy"]) * len(labels))
    theirs = f"NumPy reads {right} of {len(labels)} test images right, {right / len(labels):.4f}"
    if right != ours or f"{right / len(labels):.4f}" != printed:
        sys.exit(f"FAILED: {theirs}; the run says {ours} and prints {printed}")
    print(f"ok: {theirs}, as the run does")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
