"""Draw the README's picture from ``results/chapter00.csv``, as chapter 00 draws its own."""

from __future__ import annotations

from pathlib import Path

from simplex_lab import plots, presets, records
from simplex_lab.show import png

PICTURE = Path(__file__).resolve().parent.parent / "chapters" / "chapter00_accuracy.png"


def curves(rows) -> dict[str, list[tuple[list[int], list[float]]]]:
    """For each arm one ``(tokens, accuracy)`` curve a seed."""
    found: dict[str, dict[int, list[tuple[int, float]]]] = {arm: {} for arm in presets.chapter00()}
    for r in rows:
        if r["metric"] == "accuracy":
            found[r["config"]["arm"]].setdefault(r["seed"], []).append((r["config"]["tokens"], r["value"]))
    return {arm: [tuple(map(list, zip(*points, strict=True))) for points in seeds.values()] for arm, seeds in found.items()}


def main() -> None:
    plots.style()
    guess = next(iter(presets.chapter00().values())).task.guess_accuracy()
    picture = png(plots.accuracy_curves(curves(records.read("chapter00.csv")), guess), dpi=144)
    if not PICTURE.exists() or PICTURE.read_bytes() != picture:
        PICTURE.write_bytes(picture)


if __name__ == "__main__":
    main()
