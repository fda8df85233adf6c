"""The run of a choice of settings."""

from collections.abc import Iterable, Mapping, Sequence

from wsgcn.text import metric_part
from wsgcn.tracking.tracker import Tracker


def track_choice(tracker: Tracker, summaries: Sequence[Mapping], dataset: str, files: Iterable[str]) -> str:
    """Log what was chosen, and the scores of all values, as the current run of its kind; returns its id.

    summaries: as `evaluation.choice.summarise` returns them. Parameters are the chosen values by their setting, with
    why, and whether truth was used; metrics are choice/<setting>/<experiment>/<rule>, regret/<setting>/<rule>.
    """
    uses_truth = any(summary["rule"] == "truth" for summary in summaries)
    settings = {
        "truth_used": uses_truth,
        "chosen": {summary["setting"]: summary["value"] for summary in summaries},
        "why": {summary["setting"]: summary["why"] for summary in summaries},
    }
    how = "with masks" if uses_truth else "without truth"
    with tracker.run("choice", {"stage": "choice"}, settings, f"settings of {dataset}, chosen {how}") as run:
        tracker.log(run, metrics=_metrics(summaries))
        tracker.log_files(run, files)
    return run


def _metrics(summaries: Sequence[Mapping]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for summary in summaries:
        setting = metric_part(summary["setting"])
        for row in summary["candidates"]:
            scores = row["scores"] | {"miou": row["miou"], "miou_low": row["low"], "miou_high": row["high"]}
            found |= {f"choice/{setting}/{row['experiment']}/{rule}": score for rule, score in scores.items()}
        found |= {f"regret/{setting}/{metric_part(rule)}": own["regret"] for rule, own in summary["regrets"].items()}
        few = summary["regrets_of_few"].items()
        found |= {f"regret/{setting}/masks_{count}": regret for count, regret in few}
    return found
