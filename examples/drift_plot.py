"""Plot what `inkontext eval drift --json FILE` wrote: python examples/drift_plot.py FILE --out docs/drift.png."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

PANELS = (
    ("untouched_psnr", "Untouched region against the first picture", "dB"),
    ("identity", "A character nobody asked to change", "SSIM"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    body = json.loads(given.file.read_text(encoding="utf-8"))
    figure, panels = plt.subplots(1, len(PANELS), figsize=(10, 3.8), layout="constrained")
    for panel, (measure, title, unit) in zip(panels, PANELS, strict=True):
        for arm in body["arms"]:
            curve, turns = body[measure][arm], range(1, body["turns"] + 1)
            panel.plot(turns, curve, marker="o", markersize=3.5, label=arm)
            low, high = zip(*body["intervals"][measure][arm], strict=True)
            panel.fill_between(turns, low, high, alpha=0.15)
        panel.set(title=title, xlabel="turn", ylabel=unit, xticks=[1, *range(5, body["turns"] + 1, 5)])
        panel.legend(frameon=False)
        panel.grid(alpha=0.25)
    figure.savefig(given.out, dpi=100)


if __name__ == "__main__":
    main()
