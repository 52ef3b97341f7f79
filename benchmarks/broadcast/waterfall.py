"""How does a broadcast look: a line per worker from its first to its last byte, beside the bound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.broadcast.outcome import Broadcast


def draw(broadcasts: Sequence[Broadcast], path: Path) -> None:
    """One panel a plan, each with its own axis of time: they differ too much for one.

    Of real workers the first byte is not known, but when they made the file for it.
    """
    import matplotlib

    matplotlib.use("Agg")  # Without a display.
    from matplotlib import pyplot

    height = max(2.0, min(6.0, 0.03 * max(len(found.spans) for found in broadcasts) + 1.5))
    figure, panels = pyplot.subplots(
        len(broadcasts), 1, figsize=(9, height * len(broadcasts)), squeeze=False, layout="constrained"
    )
    for panel, found in zip(panels[:, 0], broadcasts, strict=True):
        spans = sorted(found.spans.values(), key=lambda span: (span[1], span[0]))
        panel.hlines(range(len(spans)), *zip(*spans, strict=True), linewidth=max(0.5, min(4.0, 200 / len(spans))))
        if found.bound_s is not None:
            panel.axvline(found.bound_s, color="black", linestyle="--", linewidth=1)
            panel.text(found.bound_s, len(spans) - 1, " bound", va="top", fontsize=8)
        disturbed = f", {found.disturbance} {found.of_undisturbed:.2f}" if found.of_undisturbed is not None else ""
        panel.set_title(f"{found.plan}: {len(spans)} workers in {found.seconds:.2f} s{disturbed}", fontsize=10)
        panel.set_ylabel("workers")
        panel.set_xlim(left=0)
        panel.set_xlabel("seconds from the request")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
