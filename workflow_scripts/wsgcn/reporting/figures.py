"""Matplotlib figures of training losses and of the benchmark."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from wsgcn.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Of the colour-blind-safe set of Okabe and Ito.
LINE_COLOUR = "#0072B2"
METHOD_COLOURS = (LINE_COLOUR, "#D55E00", "#009E73", "#000000")


def loss_curves(history: pd.DataFrame) -> Figure:
    """Draw every column of a history against its index (named epoch or step), each in axes of its own.

    history: one column per loss. Losses differ in scale, so each has its own vertical axis; missing values are skipped.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    across = min(3, len(history.columns))
    down = math.ceil(len(history.columns) / across)
    figure = Figure(figsize=(3.4 * across, 2.5 * down), dpi=150, layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True).ravel()
    for index, (axes, name) in enumerate(zip(grid, history.columns, strict=False)):
        values = history[name].dropna()
        axes.plot(values.index, values, color=LINE_COLOUR, linewidth=1.6)
        axes.set_title(str(name), loc="left", fontsize=10)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8, labelbottom=True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel(history.index.name or "epoch", fontsize=9)
        if index % across == 0:
            axes.set_ylabel("loss", fontsize=9)
        if len(values):
            last = (values.index[-1], values.iloc[-1])
            # The dot marks the end of the line; after one epoch there is nothing else to see.
            axes.plot(*last, "o", color=LINE_COLOUR, markersize=4)
            axes.annotate(
                f"{last[1]:.3g}", last, (5, 0), textcoords="offset points",
                va="center", fontsize=8, color=LINE_COLOUR, annotation_clip=False,
            )  # fmt: skip
    for axes in grid[len(history.columns) :]:
        axes.remove()
    return figure


def scaling_curves(table: pd.DataFrame) -> Figure:
    """Seconds per image against the number of nodes, log-log: one line per method, dashed where extrapolated.

    table: the rows of `benchmark.scaling`, among others.
    """
    from matplotlib.figure import Figure

    rows = table[table.image == "growth"]
    figure = Figure(figsize=(5.2, 3.6), dpi=150, layout="constrained")
    axes = figure.subplots()
    for (method, line), colour, marker in zip(rows.groupby("method", sort=False), METHOD_COLOURS, "osD^", strict=False):
        measured = line[~line.extrapolated]
        axes.plot(line.nodes, line.seconds, "--", color=colour, linewidth=1.2)
        axes.plot(measured.nodes, measured.seconds, color=colour, linewidth=1.8)
        axes.plot(line.nodes, line.seconds, marker, color=colour, markersize=4)
        last = line.iloc[-1]
        axes.annotate(
            method, (last.nodes, last.seconds), (6, 0), textcoords="offset points", va="center", fontsize=8,
            color=colour, annotation_clip=False,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(right=rows.nodes.max() * 2.6)
    axes.set_xlabel("nodes", fontsize=9)
    axes.set_ylabel("seconds per image", fontsize=9)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure


def save_figure(path: str | Path, figure: Figure, dpi: int) -> None:
    """Write a figure as a PNG, atomically."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)
