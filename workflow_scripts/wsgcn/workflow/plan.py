"""What the workflow computes: a job for each rule. Knows the tables, not Snakemake.

Only what a run asks for is stated (`wsgcn.workflow.request`), since each rule and path costs time and memory.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from wsgcn.workflow.flow import stages_before, teacher_of, trainings_of
from wsgcn.workflow.layout import Layout
from wsgcn.workflow.measured import EVALUATIONS, TRACKED
from wsgcn.workflow.request import Request, asked_experiments


def rule_name(stage: str, folder: str, batch: str = "") -> str:
    """A rule's name: partial_train_01, or partial_no-entropy_train_01 for a folder of that name."""
    return "_".join(part for part in (stage, folder.rstrip("/"), batch) if part)


def correction_rule(folder: str, image: str) -> str:
    """The name of a corrected image's rule, such as correct_wsgcn-i+train_0003; no experiment's name has a plus.

    Characters that might mean something on a command line are replaced, and the id's hash is added then.
    """
    plain = re.sub("[^A-Za-z0-9._-]", "_", image)
    own = plain if plain == image else f"{plain}_{hashlib.sha256(image.encode()).hexdigest()[:8]}"
    return f"{rule_name('correct', folder)}+{own}"


@dataclass(frozen=True)
class BatchPosition:
    """Where a batch stands among those of its stage: the images before it, those of all, the number of batches."""

    before: int = 0
    images: int = 0
    batches: int = 0


def with_positions(batches: Mapping[str, list[str]]) -> Iterator[tuple[str, list[str], BatchPosition]]:
    """Each batch with its ids and its place among the others."""
    before, images = 0, sum(map(len, batches.values()))
    for batch, ids in batches.items():
        yield batch, ids, BatchPosition(before, images, len(batches))
        before += len(ids)


@dataclass(frozen=True)
class Job:
    """A rule's work: one stage of one folder, for a batch of images or for all.

    name: of its rule; stem: of its log, benchmark and seconds, below those folders; table: whether its seconds are a
    table per image, else a training's record; rule: what the names of its stage's rules begin with; position: of its
    batch.
    """

    plan: "Plan" = field(repr=False)
    name: str
    stage: str
    folder: str
    experiment: str
    stem: str
    ids: list[str]
    table: bool = True
    rule: str = ""
    position: BatchPosition = BatchPosition()

    @property
    def settings(self) -> dict:
        """The settings of its experiment."""
        return self.plan.experiments[self.experiment]

    @property
    def log(self) -> str:
        return f"{self.plan.results}/logs/{self.stem}.log"

    @property
    def benchmark(self) -> str:
        return f"{self.plan.results}/benchmarks/{self.stem}.tsv"

    @property
    def seconds(self) -> str:
        return f"{self.plan.results}/seconds/{self.stem}.{'csv' if self.table else 'json'}"

    @property
    def history(self) -> str:
        """The losses by step of a training."""
        return self.plan.history(self.experiment, self.stage)

    @property
    def images(self) -> str:
        """Its images in words, for messages."""
        return f"{len(self.ids)} images ({self.stem.partition('/')[2]})"

    def files(self, stage: str | None = None) -> list[str]:
        """The files of its images at a stage, by default its own."""
        return self.plan.files(self.experiment, stage or self.stage, self.ids)

    def file(self, stage: str | None = None) -> str:
        """The one file of a stage, by default its own."""
        return self.plan.file(self.experiment, stage or self.stage)


@dataclass(frozen=True)
class Plan(Layout):
    """The jobs of what a run asks for.

    asked: the experiments that it needs; allowed: the only rules to state. None stands for all. reviewed: whether it
    asks for a review of labels; labels_only: whether it asks for nothing but labels, and what comes after them, or
    compares them with masks, is not stated.
    """

    asked: Collection[str] | None = None
    allowed: Collection[str] | None = None
    reviewed: bool = True
    labels_only: bool = False

    def asking(self, request: Request, base: str, tried: Collection[str] = ()) -> "Plan":
        """The plan of what a request needs. tried: the experiments whose labels `choose` compares."""
        needs: dict[str, Collection[str]] = dict.fromkeys(BENCHMARK_WORDS, [benchmarked_experiment(self, base)])
        needs |= dict.fromkeys(CHOICE_WORDS, tried)
        asked = asked_experiments(request, base, self.experiments, self.owners, needs)
        if asked is not None:
            needed = {*asked, *(teacher_of(self.experiments[name]) for name in asked)}
            asked = [name for name in self.experiments if name in needed]
        return replace(self, asked=asked, reviewed=request.asks_for_review, labels_only=request.labels_only)

    # What is stated

    def states(self, name: str) -> bool:
        """Whether a rule of this name is stated."""
        return self.allowed is None or name in self.allowed

    def asks_for(self, *experiments: str) -> bool:
        """Whether this run needs all of these experiments."""
        return self.asked is None or set(experiments) <= set(self.asked)

    @property
    def stated_experiments(self) -> list[str]:
        return [name for name in self.experiments if self.asks_for(name)]

    @cached_property
    def _stages_of_labels(self) -> set[str]:
        """The stages that labels of the needed experiments come from."""
        return {stage for name in self.stated_experiments for stage in stages_before(self.experiments[name], "pseudo")}

    def _states_stage(self, stage: str) -> bool:
        return not self.labels_only or stage in self._stages_of_labels

    def stated_owners(self, stage: str) -> dict[str, str]:
        """As `owners` of a stage, of the folders that the needed experiments have."""
        by_experiment = self.folders.get(stage, {})
        needed = {folder for name, folder in by_experiment.items() if self.asks_for(name)}
        return {folder: name for folder, name in self.owners.get(stage, {}).items() if folder in needed}

    # Jobs

    def batch_jobs(self, stage: str, rule: Callable[[Mapping], str] | None = None) -> Iterator[Job]:
        """A job for each batch of each folder of a stage.

        rule: what its rules' names begin with, from an experiment's settings; by default the stage.
        """
        for folder, experiment in self.stated_owners(stage).items() if self._states_stage(stage) else ():
            first = rule(self.experiments[experiment]) if rule else stage
            for batch, ids, position in with_positions(self.batches[self.own_stages[experiment][stage].images]):
                if self.states(name := rule_name(first, folder, batch)):
                    stem = f"{stage}/{folder}{batch}"
                    yield Job(self, name, stage, folder, experiment, stem, ids, rule=first, position=position)

    def corrections_in(self, experiment: str, images: Iterable[str]) -> list[str]:
        """Those of some ids whose pseudo labels are corrected: none of labels that others learn from, so that a
        correction reruns no other label."""
        return [] if experiment in self.teachers else self.corrected(images)

    def labelled_by_batches(self, experiment: str, images: Collection[str]) -> list[str]:
        """Those of some ids whose pseudo labels the batch jobs make: corrected ones have jobs of their own."""
        corrected = set(self.corrections_in(experiment, images))
        return [image for image in images if image not in corrected]

    def correction_jobs(self) -> Iterator[Job]:
        """A job for each corrected image to label of each folder of labels, so that a correction reruns no other's."""
        for folder, experiment in self.stated_owners("pseudo").items():
            corrected = self.corrections_in(experiment, self.data.label)
            for image, ids, position in with_positions({image: [image] for image in corrected}):
                if self.states(name := correction_rule(folder, image)):
                    stem = f"correct/{folder}{image}"
                    yield Job(self, name, "pseudo", folder, experiment, stem, ids, rule="correct", position=position)

    def data_jobs(self, rule: str, images: Collection[str], folder: str = "") -> Iterator[Job]:
        """A job for each batch of images, of the base, whatever the other experiments.

        folder: of its log, its benchmark and its seconds, below those of the rule.
        """
        base = next(iter(self.experiments))
        for batch, ids, position in with_positions(self.batches_of(images)):
            if self.states(name := f"{rule}_{batch}"):
                yield Job(self, name, "", folder, base, f"{rule}/{folder}{batch}", ids, rule=rule, position=position)

    def training_jobs(self, stage: str) -> Iterator[Job]:
        """A job for each folder of a training."""
        for folder, experiment in self.stated_owners(stage).items() if self._states_stage(stage) else ():
            if self.states(name := rule_name(stage, folder)):
                images = getattr(self.data, trainings_of(self.experiments[experiment])[stage].images)
                stem = f"{folder}{stage}"
                yield Job(self, name, stage, folder, experiment, stem, list(images), table=False, rule=stage)

    def evaluation_jobs(self, evaluated: str) -> Iterator[Job]:
        """A job for each folder of an evaluation."""
        row = EVALUATIONS[evaluated]
        if self.labels_only or not self.is_evaluated(evaluated):
            return
        for folder, experiment in self.stated_owners(row.stage).items():
            if self.states(name := rule_name(f"evaluate_{evaluated}", folder)):
                ids = list(getattr(self.data, row.images))
                yield Job(self, name, row.files, folder, experiment, f"evaluate/{folder}{evaluated}", ids)

    def tracking_jobs(self, tracked: str) -> Iterator[Job]:
        """A job for each folder of a child run."""
        stage = TRACKED[tracked].stage
        for folder, experiment in self.stated_owners(stage).items() if not self.labels_only else ():
            if self.states(name := rule_name(f"track_{tracked}", folder)):
                yield Job(self, name, stage, folder, experiment, f"track/{folder}{tracked}", list(self.data.label))

    def experiment_jobs(self, rule: str, among: Collection[str] | None = None) -> Iterator[Job]:
        """A job for each experiment: its parent run, its report, its summary; named like it alone without a rule.

        among: the only experiments that have one; None for all.
        """
        for experiment in self.stated_experiments if not self.labels_only else ():
            if (among is None or experiment in among) and self.states(name := f"{rule}_{experiment}".removeprefix("_")):
                yield Job(self, name, "", f"{experiment}/", experiment, f"{rule}/{experiment}", list(self.data.label))

    def reviewed_images(self, images: Iterable[str]) -> list[str]:
        """Those of some ids whose labels are to be looked at: they show a class and have no correction."""
        return self.uncorrected(self.tagged(images))

    def _reviewed_owners(self) -> dict[str, str]:
        """As `stated_owners` of labels, without those that others learn from: they take no corrections."""
        owners = self.stated_owners("pseudo") if self.reviewed else {}
        return {folder: name for folder, name in owners.items() if name not in self.teachers}

    def measuring_jobs(self) -> Iterator[Job]:
        """A job for each batch of `reviewed_images`, of each folder of labels, where a review is asked for."""
        for folder, experiment in self._reviewed_owners().items():
            for batch, ids, position in with_positions(self.batches["label"]):
                tagged = self.reviewed_images(ids)
                if tagged and self.states(name := rule_name("review_labels", folder, batch)):
                    stem, rule = f"review/{folder}{batch}", "review_labels"
                    yield Job(self, name, "measures", folder, experiment, stem, tagged, rule=rule, position=position)

    def review_jobs(self, rule: str) -> Iterator[Job]:
        """A job for all `reviewed_images`, of each folder of labels, where a review is asked for."""
        for folder, experiment in self._reviewed_owners().items():
            if self.states(name := rule_name(rule, folder)):
                tagged = self.reviewed_images(self.data.label)
                yield Job(self, name, "measures", folder, experiment, f"{rule}/{experiment}", tagged)

    def comparison_jobs(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[Job, str]]:
        """A job for each pair of an experiment and its reference, and the reference."""
        for experiment, reference in pairs:
            name = f"compare_{experiment}_with_{reference}"
            if self.asks_for(experiment, reference) and self.states(name):
                stem, ids = f"compare/{reference}/{experiment}", list(self.data.label)
                yield Job(self, name, "", f"{experiment}/", experiment, stem, ids), reference

    @property
    def states_ablations(self) -> bool:
        """Whether the comparison of all experiments is stated."""
        return self.asked is None and self.states("ablations")


BENCHMARK_WORDS = ("bench", "benchmark_core", "benchmark_kinds", "benchmark")
"""The rules of the benchmark and the folder of its files."""

CHOICE_WORDS = ("choose", "choose_settings", "solve_heads", "choice")
"""The rules of the choice of settings and the folder of its files."""


def benchmarked_experiment(plan: Plan, base: str) -> str:
    """The first experiment with IRNet's affinities and partial labels, whose images the GCN core is timed on."""
    return next(
        (name for name in plan.experiments if plan.has(name, "irnet_affinity") and plan.has(name, "partial")), base
    )
