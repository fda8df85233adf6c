"""All experiments side by side: the rows of their table, further comparisons, IoU by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wsgcn.evaluation.comparison import experiment_row, read_counts
from wsgcn.evaluation.names import COMPARED_STAGES
from wsgcn.files import read_json


@dataclass(frozen=True)
class Ablations:
    """Experiments, in the order of the config, compared with `base`.

    evaluations: {experiment: {stage: evaluation}}; rows: one `comparison.experiment_row` per experiment; further: the
    comparisons with other experiments than the base, {"experiment", "against", "stage", "difference", "low", "high"}.
    """

    base: str
    evaluations: Mapping[str, Mapping[str, Mapping]]
    rows: Sequence[Mapping]
    further: Sequence[Mapping]

    @property
    def class_iou(self) -> dict[str, Mapping[str, float | None]]:
        """IoU of the pseudo labels by class, {experiment: {class: IoU in 0..1 or None}}."""
        return {name: stages["refined_crf"]["iou"] for name, stages in self.evaluations.items()}


def read_ablations(
    base: str,
    evaluation_files: Mapping[str, Sequence[str]],
    count_files: Mapping[str, Sequence[str]],
    comparison_files: Mapping[tuple[str, str], str],
    descriptions: Mapping[str, str],
) -> Ablations:
    """Read what the evaluations and comparisons of all experiments have written.

    evaluation_files: {experiment: .json per stage}; count_files: {experiment: .npz per stage of `COMPARED_STAGES`};
    comparison_files: {(experiment, reference): .json}.
    """
    comparisons = {pair: read_json(path) for pair, path in comparison_files.items()}
    evaluations, rows = {}, []
    for name, paths in evaluation_files.items():
        evaluations[name] = {evaluation["stage"]: evaluation for evaluation in map(read_json, paths)}
        counts = read_counts(count_files[name])  # for one experiment at a time: at the size of VOC they are 80 MB
        comparison = comparisons.get((name, base), {})
        rows.append(experiment_row(name, evaluations[name], counts, comparison, descriptions[name]))
    further = [
        {"experiment": name, "against": reference, "stage": stage} | comparison[stage]
        for (name, reference), comparison in comparisons.items()
        if reference != base
        for stage in COMPARED_STAGES
    ]
    return Ablations(base, evaluations, rows, further)
