"""Tables as plain text: alignment, gains, unknown values.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_text_tables.py`.
"""

import pytest

from wsgcn.evaluation.ablations import Ablations
from wsgcn.reporting.tables import format_ablations, format_number, format_points, format_table, is_known


def row(stage, split="train", miou=None, **values):
    defaults = {"protocol": "all pixels", "images": 20, "coverage": None, "precision": None}
    return {"stage": stage, "split": split, "miou": miou, "seconds_per_image": None, "iou": {}} | defaults | values


TABLE = [
    row("activation maps", miou=0.5, seconds_per_image=2.3),
    row("partial label", coverage=0.625, precision=0.875),
    row("DeepLab", "val", 0.9, images=1, listed=3),
    row("refined label", miou=0.4567),
    row("CRF label", miou=0.5),
]


def test_format_table_is_aligned():
    lines = format_table(TABLE).split("\n")
    assert lines == [
        "stage            on     images   mIoU  gain  coverage  s/image",
        "activation maps  train      20  50.0%     –         –    2.300",
        "partial label    train      20      –     –     62.5%        –",
        "DeepLab          val    1 of 3  90.0%     –         –        –",
        "refined label    train      20  45.7%  -4.3         –        –",
        "CRF label        train      20  50.0%  +4.3         –        –",
    ]


def test_format_table_without_rows_is_its_headings():
    assert format_table([]) == "stage  on  images  mIoU  gain  coverage  s/image"


def experiment(name, no_crf=None, miou=None, difference=None, low=None, high=None, segmentation=None):
    return {"experiment": name, "miou_no_crf": no_crf, "miou": miou, "difference": difference, "low": low, "high": high,
            "segmentation_miou": segmentation}  # fmt: skip


EXPERIMENTS = [
    experiment("base", 0.61, 0.6449, segmentation=0.7),
    experiment("cam", 0.5, 0.5251, -0.1198, -0.14, -0.10049),
    experiment("best-of-all", 0.655, 0.66, 0.0151, -0.0004, 0.03, float("nan")),
    experiment("no masks"),
]


def test_format_ablations_has_the_best_first_and_dashes_for_unknown_values():
    text = format_ablations(Ablations("base", {}, EXPERIMENTS, []), "cats")
    assert text == (
        "experiments on cats, mIoU of the pseudo labels; difference to base in points, with CRF\n"
        "\n"
        "experiment   no CRF  with CRF  difference            95 %  segmentation\n"
        "best-of-all   65.5%     66.0%        +1.5    +0.0 to +3.0             –\n"
        "base          61.0%     64.5%           –               –         70.0%\n"
        "cam           50.0%     52.5%       -12.0  -14.0 to -10.0             –\n"
        "no masks          –         –           –               –             –\n"
    )
    assert [row["experiment"] for row in EXPERIMENTS] == ["base", "cam", "best-of-all", "no masks"], (
        "the input keeps its order"
    )


def test_format_ablations_lists_further_comparisons_below():
    pair = {"experiment": "best-of-all", "against": "cam"}
    further = [
        pair | {"stage": "refined", "difference": 0.155, "low": 0.1, "high": 0.2},
        pair | {"stage": "refined_crf", "difference": None, "low": None, "high": None},
    ]
    plain = format_ablations(Ablations("base", {}, EXPERIMENTS, []), "cats")
    assert format_ablations(Ablations("base", {}, EXPERIMENTS, further), "cats") == plain + (
        "\nbest-of-all against cam, refined: +15.5 (+10.0 to +20.0)\nbest-of-all against cam, refined_crf: – (– to –)\n"
    )


def test_format_ablations_of_the_base_alone():
    lines = format_ablations(Ablations("base", {}, [experiment("base")], []), "cats").splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["experiment", "base"]


def test_gain_leaves_out_the_baseline_and_labels_of_a_part_of_the_pixels():
    table = [
        row("no_learning", miou=0.3, coverage=1.0),
        row("cam", miou=0.4, coverage=1.0),
        row("partial", miou=0.8, coverage=0.5),
        row("gcn", miou=0.5, coverage=1.0),
    ]
    assert [line.split()[4] for line in format_table(table).splitlines()] == ["gain", "–", "–", "–", "+10.0"]


@pytest.mark.parametrize(
    "share, text", [(0.0151, "+1.5"), (-0.0004, "+0.0"), (-0.0006, "-0.1"), (None, "–"), (float("nan"), "–")]
)
def test_format_points(share, text):
    assert format_points(share) == text


def test_unknown_numbers():
    assert format_number(0.4567, ".1%") == "45.7%" and format_number(None, ".1%", "0%") == "0%"
    assert [is_known(value) for value in (0.0, None, float("nan"))] == [True, False, False]


def test_false_foreground_has_a_column_where_there_are_negatives():
    lines = format_table([TABLE[0], row("DeepLab", "val", 0.9, false_foreground=0.01234)]).split("\n")
    assert lines[0].split("  ")[-2:] == ["false foreground", "s/image"]
    assert lines[1].split()[-2:] == ["–", "2.300"] and lines[2].split()[-2:] == ["1.23%", "–"]
