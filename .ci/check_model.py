"""Runs the README's own Python lines on a run's model.safetensors and checks our test accuracy with what they predict:
python check_model.py RUN_FOLDER

To be called where the README lies. Needs the PyPI packages numpy and safetensors. Prints one line, and ends with exit
code 1 if anything differs.
"""
import csv, pathlib, sys
from safetensors import safe_open


def main(run):
    lines = pathlib.Path("README.md").read_text().split("```python\n")[1].split("```")[0]
    scope = {}
    exec(lines.replace("runs/latest", run), scope)
    labels = scope["labels"]
    right = int((scope["prediction"] == labels).sum())

    with safe_open(pathlib.Path(run, "model.safetensors"), "numpy") as file:
        metadata = file.metadata()
    printed = metadata["final_test_accuracy"].split()[0]
    with open(pathlib.Path(run, "history.csv"), newline="") as file:
        ours = round(float(list(csv.DictReader(file))[-1]["test_accuracy"]) * len(labels))
    theirs = f"NumPy reads {right} of {len(labels)} test images right, with {metadata['activation']}"
    if right != ours or f"{right / len(labels):.4f}" != printed:
        sys.exit(f"FAILED: {theirs}; the run says {ours} and prints {printed}")
    print(f"ok: {theirs}, as the run does")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
