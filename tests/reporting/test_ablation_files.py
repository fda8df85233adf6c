"""The tables and charts that set experiments side by side, as files.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_ablation_files.py`.
"""

import pandas as pd
import pytest
from PIL import Image

from wsgcn.evaluation.ablations import Ablations
from wsgcn.reporting.ablations import AblationFiles, write_ablations


def row(name, miou, difference=None):
    bounds = {"low": difference, "high": difference}
    return {
        "experiment": name,
        "miou": miou,
        "miou_no_crf": miou,
        "difference": difference,
        "description": name,
    } | bounds


@pytest.fixture
def files(tmp_path):
    names = ("table.csv", "pairs.csv", "classes.csv", "chart.png", "classes.png")
    return AblationFiles(*(str(tmp_path / "new" / name) for name in names))


def test_tables_and_charts_are_written(files, tmp_path):
    iou = {"base": {"refined_crf": {"iou": {"background": 0.5, "cat": None}}}}
    iou["other"] = {"refined_crf": {"iou": {"background": 0.12345678, "cat": 0.25}}}
    further = [{"experiment": "other", "against": "third", "stage": "refined", "difference": 1 / 3}]
    write_ablations(files, Ablations("base", iou, [row("base", 0.5), row("other", 0.6, 0.1)], further))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(p.split("/")[-1] for p in files.paths())
    table = pd.read_csv(files.table)
    assert list(table) == list(row("base", 0.5)) and table["miou"].tolist() == [0.5, 0.6]
    assert table["difference"].isna().tolist() == [True, False]
    assert open(files.pairs).read() == "experiment,against,stage,difference\nother,third,refined,0.3333\n"
    assert open(files.class_table).read() == "experiment,background,cat\nbase,0.5000,\nother,0.1235,0.2500\n"
    assert Image.open(files.chart).width == 1680 and Image.open(files.classes).width > 100


def test_without_masks_and_further_comparisons(files):
    iou = {name: {"refined_crf": {"iou": {}}} for name in ("base", "other")}
    write_ablations(files, Ablations("base", iou, [row("base", None), row("other", None)], []))
    assert len(pd.read_csv(files.table)) == 2
    assert open(files.pairs).read() == "\n" and open(files.class_table).read() == "experiment\nbase\nother\n"
    assert Image.open(files.chart).size == Image.open(files.classes).size == (800, 160)
