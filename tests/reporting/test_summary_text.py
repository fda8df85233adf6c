"""The text that ends an experiment: what it always has, its warning, and the images that were skipped.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_summary_text.py`.
"""

import pytest

from wsgcn.reporting.summary import format_summary
from wsgcn.reporting.tables import format_table


def evaluation(stage, **values):
    defaults = {"split": "train", "protocol": "", "images": 2, "miou": 0.5, "coverage": 1.0, "precision": 0.9}
    return {"stage": stage, "seconds_per_image": 1.5, "iou": {}} | defaults | values


EVALUATIONS = [evaluation("cam"), evaluation("partial", coverage=0.5, without_background=0.2), evaluation("refined")]
LOCATIONS = {"labels": "results/x/pseudo/", "report": "x.html", "MLflow": "mlflow ui", "table": "http://y/#/z"}


def summary(evaluations=EVALUATIONS, skipped=None, missing=None):
    minutes = {"classifier": 1.04, "boundary": 0.25}
    return format_summary("base on cats", evaluations, minutes, LOCATIONS, skipped or {}, missing or {})


def test_summary_has_table_minutes_and_locations():
    assert summary() == (
        "base on cats\n"
        "\n"
        f"{format_table(EVALUATIONS)}\n"
        "\n"
        "minutes of training: classifier 1.0, boundary 0.2\n"
        "\n"
        "labels    results/x/pseudo/\n"
        "report    x.html\n"
        "MLflow    mlflow ui\n"
        "table     http://y/#/z\n"
    )


@pytest.mark.parametrize("share, warned", [(0.2, False), (0.21, True), (1.0, True)])
def test_summary_warns_of_partial_labels_without_background(share, warned):
    text = summary([*EVALUATIONS, evaluation("partial", without_background=share)])
    assert (f"{share:.0%} of the partial labels contain no background" in text) == warned
    if warned:
        lines = text.splitlines()
        start = next(k for k, line in enumerate(lines) if "contain no background" in line)
        assert "partial.alpha_high" in lines[start + 1] and lines[start + 2] == "" and lines[start - 1] == ""


@pytest.mark.parametrize(
    "baseline, line",
    [(0.4, "The labels are 10.0 points above no_learning"), (0.55, "The labels are 5.0 points BELOW no_learning")],
)
def test_summary_says_whether_labels_beat_those_without_learning(baseline, line):
    scored = [evaluation("no_learning", miou=baseline), *EVALUATIONS, evaluation("refined_crf")]
    assert line in summary(scored)
    assert "points" not in summary(scored[1:]) and "points" not in summary(scored[:-1])
    assert "points" not in summary([evaluation("no_learning", miou=None), *scored[1:]])


def test_summary_repeats_the_warnings_of_trainings():
    text = format_summary("a", EVALUATIONS, {}, LOCATIONS, {}, {}, ["irnet.training: flat", "psa.training: flat"])
    assert "\n\nirnet.training: flat\npsa.training: flat\n\nlabels " in text


def test_summary_lists_skipped_images_and_the_rules_to_force():
    skipped = {"a": "refine_base_train_0: no", "b": "cam_train_1: broken", "c": "cam_train_1: broken", "d": "lost"}
    assert summary(skipped=skipped, missing={"d": "lost"}).removeprefix(summary()) == (
        "\n"
        "skipped 4 image(s)\n"
        "a: refine_base_train_0: no\n"
        "b: cam_train_1: broken\n"
        "c: cam_train_1: broken\n"
        "d: lost\n"
        "once they are fixed: snakemake --forcerun cam_train_1 refine_base_train_0\n"
    )


def test_images_that_no_rule_skipped_need_no_forced_rule():
    text = summary(skipped={"d": "lost"}, missing={"d": "lost"})
    assert text.endswith("skipped 1 image(s)\nd: lost\n")


def test_summary_without_partial_labels_and_trainings():
    text = format_summary("walk on cats", [evaluation("cam")], {}, LOCATIONS, {}, {})
    assert "minutes of training: \n" in text and "background" not in text
