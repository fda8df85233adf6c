"""The choice of settings as table and text.

Run alone: `.venv/bin/python -m pytest tests/reporting/test_choice_text.py`.
"""

from wsgcn.reporting.choice import choice_rows, format_choice


def row(value, miou=None, **scores):
    low, high = (None, None) if miou is None else (miou - 0.1, miou + 0.1)
    return {"value": value, "experiment": f"x-{value}", "scores": scores, "miou": miou, "low": low, "high": high}


def summary(*rows, chosen=0, rule="mean_rank", **others):
    found = {"setting": "section.x", "value": rows[chosen]["value"], "experiment": rows[chosen]["experiment"]}
    found |= {"rule": rule, "why": "chosen so; no truth was used", "images": 9, "masks": 0, "candidates": rows}
    return found | {"regrets": {}, "regrets_of_few": {}} | others


PLAIN = summary(row(2, crf_agreement=0.5, mean_rank=0.0), row(8, crf_agreement=0.625, mean_rank=1.0), chosen=1)


def test_without_masks_the_text_has_the_scores_and_the_reason():
    assert format_choice([PLAIN], "photos", "settings.yaml").splitlines() == [
        "settings of photos, chosen by the labels of 9 images",
        "",
        "section.x",
        "value  experiment  crf_agreement  mean_rank",
        "    2  x-2                 0.500      0.000",
        "    8  x-8                 0.625      1.000",
        "8: chosen so; no truth was used",
        "",
        "to use the chosen values: --configfile … settings.yaml",
    ]


def test_with_all_masks_the_text_has_regrets():
    regrets = {
        "no choice": {"value": 2, "miou": 0.5, "regret": 0.125},
        "crf_agreement": {"value": 8, "miou": 0.625, "regret": 0.0},
    }
    first = summary(
        row(2, 0.5, crf_agreement=0.5), row(8, 0.625, crf_agreement=1), masks=9, regrets=regrets, rule="truth"
    )
    first["regrets_of_few"] = {"5": 0.01}
    second = first | {"setting": "y", "regrets": {"no choice": {"value": 2, "miou": 0.6, "regret": 0.025}}}
    lines = format_choice([first, second], "photos", "settings.yaml").splitlines()
    assert lines[3:6] == [
        "value  experiment  crf_agreement   mIoU            95 %",
        "    2  x-2                 0.500  50.0%  40.0% to 60.0%",
        "    8  x-8                 1.000  62.5%  52.5% to 72.5%",
    ]
    assert lines[-6:-2] == [
        "setting         best  no choice  crf_agreement  5 masks",
        "section.x  8 (62.5%)   2 (12.5)        8 (0.0)    (1.0)",
        "y          8 (62.5%)    2 (2.5)              –    (1.0)",
        "mean               –      (7.5)          (0.0)    (1.0)",
    ]


def test_the_table_has_a_row_per_value():
    rows = choice_rows([PLAIN])
    assert [(own["setting"], own["value"], own["crf_agreement"], own["chosen"], own["miou"]) for own in rows] == [
        ("section.x", 2, 0.5, False, None),
        ("section.x", 8, 0.625, True, None),
    ]
    assert {own["rule"] for own in rows} == {"mean_rank"} and rows[0]["walk_agreement"] is None
