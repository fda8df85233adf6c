"""What jobs write beside their outputs: seconds per image, minutes of training, and which images were skipped."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from wsgcn.affinity.learning import why_flat
from wsgcn.files import read_json, why_skipped


def mean_seconds(tables: Sequence[str]) -> float | None:
    """Mean seconds per image over the tables (.csv) of the batch jobs; None without a row.

    An image's seconds in several tables are added up. Skipped images have no rows.
    """
    if not tables:
        return None
    seconds = pd.concat([pd.read_csv(table) for table in tables]).groupby("image")["seconds"].sum()
    return float(seconds.mean()) if len(seconds) else None


def training_minutes(records: Iterable[str]) -> dict[str, float]:
    """Minutes of each training, {stage: minutes}, from their records, <stage>.json."""
    return {Path(path).stem: read_json(path)["seconds"] / 60 for path in records}


def flat_trainings(records: Iterable[str]) -> list[str]:
    """A sentence for each affinity network that has learnt nothing, from the trainings' records."""
    return [why for path in records if (why := why_flat(read_json(path).get("learnt")))]


def gain_of(records: Iterable[str]) -> float | None:
    """By which share a network's loss is below a constant's, from its record among others' files; None without one."""
    found = [read_json(path).get("learnt") for path in records if Path(path).suffix == ".json"]
    return next((learnt["gain"] for learnt in found if learnt), None)


def skipped_at_stages(evaluations: Iterable[Mapping]) -> dict[str, str]:
    """The images that were skipped at any of the evaluated stages, {id: why}."""
    return {image: why for evaluation in evaluations for image, why in evaluation["skipped"].items()}


def skipped_images(
    evaluations: Iterable[Mapping], training_labels: Iterable[str], missing: Mapping[str, str]
) -> dict[str, str]:
    """All images that were left out of an experiment, {id: why}.

    training_labels: the label PNGs of the affinity network's training, <id>.png, as far as they exist; missing: images
    that the lists name and that cannot be read, {id: why}.
    """
    reasons = {Path(path).stem: why_skipped(path) for path in training_labels if Path(path).is_file()}
    return {image: why for image, why in reasons.items() if why} | skipped_at_stages(evaluations) | dict(missing)
