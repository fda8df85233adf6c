"""The overlay of chosen settings, and what results say of it."""

from collections.abc import Mapping, Sequence

import yaml

from wsgcn.text import flatten
from wsgcn.workflow.experiments import merge, nest
from wsgcn.workflow.sharing import fingerprint


def overlay_text(summaries: Sequence[Mapping], dataset: str) -> str:
    """The YAML of an overlay with the chosen value of each setting, and under `chosen` why each was.

    summaries: as `evaluation.choice.summarise` returns them.
    """
    overlay: dict = {}
    for summary in summaries:
        overlay = merge(overlay, nest(summary["setting"], summary["value"]))
    why = {summary["setting"]: {"value": summary["value"], "why": summary["why"]} for summary in summaries}
    head = f"# Chosen by `snakemake choose` for {dataset}. A further --configfile.\n"
    return head + yaml.safe_dump(overlay | {"chosen": why}, sort_keys=False, allow_unicode=True, width=120)


def reasons(config: Mapping, settings: Mapping) -> dict[str, dict[str, str]]:
    """The parameter of a job that says of an experiment's settings why they were chosen; empty where none was.

    Those that have another value by now, or in this experiment, are left out.
    """
    current = flatten(settings)
    found = {
        key: f"{own['value']}, {own['why']}"
        for key, own in config["chosen"].items()
        if fingerprint(current.get(key)) == fingerprint(own["value"])
    }
    return {"chosen": found} if found else {}
