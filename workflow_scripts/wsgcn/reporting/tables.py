"""Evaluations and experiments as tables of text cells, and as aligned plain text for the terminal.

An evaluation is a dict {"stage": str, "split": str, "protocol": str, "images": int, "listed": int, "miou", "coverage",
"precision": float in 0..1 or None, "seconds_per_image": float or None, "iou": {class name: float in 0..1 or None}}, as
`evaluation.stages.evaluate_stage` returns it, with "false_foreground" where there are negatives. NaN counts as None;
both are shown as an en dash.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

from wsgcn.evaluation.ablations import Ablations
from wsgcn.evaluation.names import BASELINE

DASH = "–"
"""Stands for an unknown value."""

FALSE_FOREGROUND = "false foreground"
"""The column of the share of pixels that are labelled foreground on images that show no class."""

TEXT_COLUMNS = ("stage", "on", "protocol", "experiment", "setting")
"""The left-aligned columns; the others hold numbers."""


def format_table(evaluations: Sequence[Mapping]) -> str:
    """The stages as aligned plain text: a line of headings and one line per evaluation."""
    rows = stage_cells(evaluations)
    negatives = [FALSE_FOREGROUND] if any(row[FALSE_FOREGROUND] != DASH for row in rows) else []
    return "\n".join(align(("stage", "on", "images", "mIoU", "gain", "coverage", *negatives, "s/image"), rows))


def format_ablations(ablations: Ablations, dataset: str) -> str:
    """The experiments as aligned plain text, the best first, and further comparisons below."""
    table = align(
        ("experiment", "no CRF", "with CRF", "difference", "95 %", "segmentation"),
        [_experiment_cells(row) for row in sorted(ablations.rows, key=lambda row: -(row["miou"] or 0))],
    )
    title = f"experiments on {dataset}, mIoU of the pseudo labels; difference to {ablations.base} in points, with CRF"
    pairs = [
        f"{row['experiment']} against {row['against']}, {row['stage']}: {format_points(row['difference'])}"
        f" ({format_points(row['low'])} to {format_points(row['high'])})"
        for row in ablations.further
    ]
    return "\n".join([title, "", *table, *([""] if pairs else []), *pairs]) + "\n"


def stage_cells(evaluations: Sequence[Mapping]) -> list[dict[str, str]]:
    """One row of texts per evaluation, {heading: cell}."""
    return [
        {
            "stage": row["stage"],
            "on": row["split"],
            "protocol": row["protocol"],
            "images": _format_images(row),
            "mIoU": format_number(row["miou"], ".1%"),
            "gain": format_number(gain, "+.1f"),
            "coverage": format_number(row["coverage"], ".1%"),
            "precision": format_number(row["precision"], ".1%"),
            FALSE_FOREGROUND: format_number(row.get("false_foreground"), ".2%"),
            "s/image": format_number(row["seconds_per_image"], ".3f"),
        }
        for row, gain in zip(evaluations, _gains(evaluations), strict=True)
    ]


def _format_images(row: Mapping) -> str:
    """How many images were compared; "12 of 30" where only so many of the list's have masks."""
    listed = row.get("listed", row["images"])  # evaluations of older versions do not say
    return str(row["images"]) if row["images"] in (0, listed) else f"{row['images']} of {listed}"


def is_known(value: float | None) -> TypeGuard[float]:
    """Whether a score is neither None nor NaN."""
    return value is not None and not math.isnan(value)


def format_number(value: float | None, spec: str, unknown: str = DASH) -> str:
    """The value in Python's format `spec` (".1%": 0.4567 -> "45.7%"), or `unknown`."""
    return format(value, spec) if is_known(value) else unknown


def format_points(share: float | None) -> str:
    """A share in 0..1 as signed points: 0.0151 -> "+1.5"."""
    return format_number(round(100 * share, 1) + 0.0 if is_known(share) else None, "+.1f")  # + 0.0 turns -0.0 into 0.0


def _experiment_cells(row: Mapping) -> dict[str, str]:
    """An experiment's row of texts, {heading: cell}."""
    low, high = format_points(row["low"]), format_points(row["high"])
    return {
        "experiment": row["experiment"],
        "no CRF": format_number(row["miou_no_crf"], ".1%"),
        "with CRF": format_number(row["miou"], ".1%"),
        "difference": format_points(row["difference"]),
        "95 %": DASH if DASH in (low, high) else f"{low} to {high}",
        "segmentation": format_number(row["segmentation_miou"], ".1%"),
    }


def align(headings: Sequence[str], rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Lines of columns as wide as their widest cell, headings first."""
    lines = [dict(zip(headings, headings, strict=True)), *rows]
    widths = {name: max(len(line[name]) for line in lines) for name in headings}
    return [
        "  ".join(f"{line[name]:{'<' if name in TEXT_COLUMNS else '>'}{widths[name]}}" for name in headings)
        for line in lines
    ]


def _gains(evaluations: Sequence[Mapping]) -> list[float | None]:
    """Points of mIoU of each evaluation over the previous one that was scored on the same split.

    Left out are the baseline, which is no stage, and what covers only a part of the pixels: its mIoU counts the
    labelled pixels only.
    """
    previous: dict[str, float] = {}
    gains: list[float | None] = []
    for row in evaluations:
        miou, split = row["miou"], row["split"]
        if row["stage"] == BASELINE or (is_known(row["coverage"]) and row["coverage"] < 1):
            gains.append(None)
            continue
        gains.append(100 * (miou - previous[split]) if is_known(miou) and split in previous else None)
        if is_known(miou):
            previous[split] = miou
    return gains
