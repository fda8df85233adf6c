"""The choice of settings as a table and as a text for the terminal.

A summary is a dict as `evaluation.choice.summarise` returns it, one per setting.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from wsgcn.evaluation.choice import RULES
from wsgcn.reporting.tables import DASH, align, format_number

SHOWN_RULES = [rule for rule in RULES if rule != "truth"]
"""Rules with a column of their own; that of the truth is the mIoU."""


def choice_rows(summaries: Sequence[Mapping]) -> list[dict]:
    """One row per setting and value: scores by rule, mIoU with its 95 % interval, in 0..1, and what was chosen."""
    return [
        {
            "setting": summary["setting"],
            "value": row["value"],
            "experiment": row["experiment"],
            **{rule: row["scores"].get(rule) for rule in SHOWN_RULES},
            "miou": row["miou"],
            "miou_low": row["low"],
            "miou_high": row["high"],
            "chosen": row["experiment"] == summary["experiment"],
            "rule": summary["rule"],
        }
        for summary in summaries
        for row in summary["candidates"]
    ]


def format_choice(summaries: Sequence[Mapping], dataset: str, overlay: str) -> str:
    """Each setting's values with their scores, what was chosen and why, and where all masks are known the regrets.

    overlay: the file of the chosen values.
    """
    lines = [f"settings of {dataset}, chosen by the labels of {summaries[0]['images']} images"]
    for summary in summaries:
        lines += ["", summary["setting"], *align(_columns(summary), map(_cells, summary["candidates"]))]
        lines += [f"{summary['value']}: {summary['why']}"]
    lines += _regret_lines(summaries)
    return "\n".join([*lines, "", f"to use the chosen values: --configfile … {overlay}"]) + "\n"


def _columns(summary: Mapping) -> list[str]:
    """The headings of a setting's table: rules that do not apply, and the mIoU without masks, are left out."""
    scores = [rule for rule in SHOWN_RULES if rule in summary["candidates"][0]["scores"]]
    return ["value", "experiment", *scores, *(["mIoU", "95 %"] if summary["masks"] else [])]


def _cells(row: Mapping) -> dict[str, str]:
    low, high = (format_number(row[key], ".1%") for key in ("low", "high"))
    return {
        "value": str(row["value"]),
        "experiment": row["experiment"],
        **{rule: format_number(row["scores"].get(rule), ".3f") for rule in SHOWN_RULES},
        "mIoU": format_number(row["miou"], ".1%"),
        "95 %": f"{low} to {high}",
    }


def _regret_lines(summaries: Sequence[Mapping]) -> list[str]:
    """What each rule would choose, and by how many points of mIoU the best value is better; the means last.

    Nothing unless there is a mask of every image.
    """
    if not summaries[0]["regrets"]:
        return []
    rows: list[dict[str, str]] = []
    regrets: dict[str, list[float]] = {}
    for summary in summaries:
        best = max(summary["candidates"], key=lambda row: row["miou"])
        row = {"setting": summary["setting"], "best": f"{best['value']} ({best['miou']:.1%})"}
        for rule, own in summary["regrets"].items():
            row[rule] = f"{own['value']} {_in_points(own['regret'])}"
            regrets.setdefault(rule, []).append(own["regret"])
        for count, regret in summary["regrets_of_few"].items():
            row[f"{count} masks"] = _in_points(regret)
            regrets.setdefault(f"{count} masks", []).append(regret)
        rows.append(row)
    rows.append({"setting": "mean"} | {rule: _in_points(float(np.mean(values))) for rule, values in regrets.items()})
    headings = ["setting", "best", *regrets]
    title = "what each rule would choose, and in brackets its regret: points of mIoU below the best value"
    return ["", title, *align(headings, [dict.fromkeys(headings, DASH) | row for row in rows])]


def _in_points(share: float) -> str:
    return f"({100 * share:.1f})"
