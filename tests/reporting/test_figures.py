"""What the figures of losses and of the benchmark contain.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_figures.py`.
"""

import numpy as np
import pandas as pd
from PIL import Image

from wsgcn.reporting import figures


def test_loss_curves_label_every_loss_and_skip_missing_values():
    history = pd.DataFrame({"classification": [0.7, 0.4, 0.2], "boundary": [np.nan, 3.0, 1.5]}, index=[1, 2, 3])
    axes = figures.loss_curves(history).axes
    assert [a.get_title(loc="left") for a in axes] == ["classification", "boundary"]
    assert {a.get_xlabel() for a in axes} == {"epoch"} and axes[0].get_ylabel() == "loss"
    assert axes[1].lines[0].get_xydata().tolist() == [[2, 3.0], [3, 1.5]]
    assert [a.texts[0].get_text() for a in axes] == ["0.2", "1.5"]


def test_loss_curves_remove_unused_axes_and_accept_an_empty_loss(tmp_path):
    history = pd.DataFrame({name: [1.0] for name in "abc"} | {"d": [np.nan]}, index=[1])
    figure = figures.loss_curves(history)
    assert len(figure.axes) == 4 and not figure.axes[3].texts
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())
    figure.savefig(tmp_path / "loss.png", dpi=30)
    assert np.asarray(Image.open(tmp_path / "loss.png")).min() < 128


def test_scaling_curves_dash_what_is_extrapolated():
    nodes, table = [1000, 3000, 9000], []
    for method in ("sparse", "dense"):
        table += [
            {"image": "growth", "method": method, "nodes": n, "seconds": n**1.5, "extrapolated": n > 3000}
            for n in nodes
        ]
    table.append({"image": "whole", "method": "sparse", "nodes": 4, "seconds": 1.0, "extrapolated": False})
    axes = figures.scaling_curves(pd.DataFrame(table)).axes[0]
    drawn = [(line.get_linestyle(), line.get_xdata().tolist()) for line in axes.lines]
    assert drawn == [("--", nodes), ("-", nodes[:2]), ("None", nodes)] * 2
    assert [text.get_text() for text in axes.texts] == ["sparse", "dense"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("nodes", "seconds per image")


def test_figure_is_saved_whole_or_not_at_all(tmp_path):
    figure = figures.loss_curves(pd.DataFrame({"a": [1.0, 2.0]}))
    figures.save_figure(tmp_path / "new/loss.png", figure, dpi=40)
    assert Image.open(tmp_path / "new/loss.png").size == (136, 100)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["loss.png"]
