"""What the workflow computes: every file's path, and the jobs that make them. Knows the tables, not Snakemake.

Only what a run asks for is stated (`wsgcn.workflow.request`), since each rule and path costs time and memory.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from wsgcn.data.dataset import Dataset, batches
from wsgcn.workflow.measured import EVALUATIONS, TRACKED, timed_stages
from wsgcn.workflow.request import Request, asked_experiments
from wsgcn.workflow.rows import Stage
from wsgcn.workflow.sharing import folders
from wsgcn.workflow.stages import PREDICTIONS, stages_of, trainings_of

Settings = Mapping[str, object]


def rule_name(stage: str, folder: str, batch: str = "") -> str:
    """A rule's name: partial_train_01, or partial_no-entropy_train_01 for a folder of that name."""
    return "_".join(part for part in (stage, folder.rstrip("/"), batch) if part)


def evenly_spaced(images: Iterable[str], count: int) -> list[str]:
    """So many ids, evenly spaced over the sorted list; all where it is shorter."""
    ids = sorted(images)
    count = min(count, len(ids))
    return [ids[k * len(ids) // count] for k in range(count)]


@dataclass(frozen=True)
class Job:
    """A rule's work: one stage of one folder, for a batch of images or for all.

    name: of its rule; stem: of its log, benchmark and seconds, below those folders; table: whether its seconds are a
    table per image, else a training's record.
    """

    plan: "Plan" = field(repr=False)
    name: str
    stage: str
    folder: str
    experiment: str
    stem: str
    ids: list[str]
    table: bool = True

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
class Plan:
    """A run's experiments, its data set as it is worked on, and what is stated of them.

    experiments: the settings of each, the base first; segmented: those whose labels train a segmentation network;
    large: (height, width) of the images that smaller copies stand for; results: the data set's folder; asked: the
    experiments that this run needs; allowed: the only rules to state, or None for all.
    """

    experiments: Mapping[str, dict]
    data: Dataset
    results: str
    batch_size: int
    segmented: Collection[str] = ()
    large: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    asked: Collection[str] | None = None
    allowed: Collection[str] | None = None

    def asking(self, request: Request, base: str) -> "Plan":
        """The plan of what a request needs."""
        needs = dict.fromkeys(BENCHMARK_RULES, benchmarked_experiment(self, base))
        return replace(self, asked=asked_experiments(request, base, self.experiments, self.owners, needs))

    # What is stated

    @cached_property
    def folders(self) -> dict[str, dict[str, str]]:
        """{stage: {experiment: folder}}, the folder "" or "<experiment>/"."""
        found = folders(self.experiments)
        return found | {name: found["predict"] for name in PREDICTIONS}

    @cached_property
    def owners(self) -> dict[str, dict[str, str]]:
        """{stage: {folder: the first experiment that has it}}, one set of rules each."""
        owners: dict[str, dict[str, str]] = {}
        for stage, by_experiment in self.folders.items():
            for experiment, folder in by_experiment.items():
                owners.setdefault(stage, {}).setdefault(folder, experiment)
        return owners

    def states(self, name: str) -> bool:
        """Whether a rule of this name is stated."""
        return self.allowed is None or name in self.allowed

    def asks_for(self, *experiments: str) -> bool:
        """Whether this run needs all of these experiments."""
        return self.asked is None or set(experiments) <= set(self.asked)

    @property
    def stated_experiments(self) -> list[str]:
        return [name for name in self.experiments if self.asks_for(name)]

    def stated_owners(self, stage: str) -> dict[str, str]:
        """As `owners` of a stage, of the folders that the needed experiments have."""
        by_experiment = self.folders.get(stage, {})
        needed = {folder for name, folder in by_experiment.items() if self.asks_for(name)}
        return {folder: name for folder, name in self.owners.get(stage, {}).items() if folder in needed}

    def has(self, experiment: str, stage: str) -> bool:
        """Whether an experiment has a stage."""
        return experiment in self.folders.get(stage, {})

    # Files

    @cached_property
    def patterns(self) -> dict[str, Stage]:
        """The stages of all experiments by name."""
        return {name: stage for settings in self.experiments.values() for name, stage in stages_of(settings).items()}

    def files(self, experiment: str, stage: str, images: Iterable[str]) -> list[str]:
        """The files of an experiment's stage of some images; none if it has no such stage."""
        if not self.has(experiment, stage):
            return []
        pattern = PREDICTIONS.get(stage) or self.patterns[stage].file
        before, after = f"{self.results}/{self._in_folder(experiment, stage, pattern)}".split("{image}")
        return [f"{before}{image}{after}" for image in images]

    def file(self, experiment: str, stage: str) -> str:
        """The file of a stage that makes one for all images."""
        return f"{self.results}/{self._in_folder(experiment, stage, self.patterns[stage].file)}"

    def history(self, experiment: str, stage: str) -> str:
        """The losses by step of a training."""
        return f"{self.results}/{self._in_folder(experiment, stage, self.patterns[stage].history)}"

    def _in_folder(self, experiment: str, stage: str, pattern: str) -> str:
        return pattern.replace("{folder}", self.folders[stage][experiment])

    def paths(self, images: Iterable[str]) -> list[str]:
        """The image files of some ids."""
        return [self.data.images[image].path for image in images]

    def masks(self, images: Iterable[str]) -> list[str]:
        """The masks of those that have one."""
        return [mask for image in images if (mask := self.data.images[image].mask)]

    def tags(self, images: Iterable[str]) -> list[list[int]]:
        """The image-level classes of some ids, in their order."""
        return [list(self.data.images[image].classes) for image in images]

    def full_sizes(self, images: Collection[str]) -> dict[str, list]:
        """Parameter of a job that writes labels: the sizes that they are to have where images have smaller copies."""
        if not self.large.keys() & set(images):
            return {}
        return {"full_sizes": [self.large.get(image) for image in images]}

    # Jobs

    @cached_property
    def batches(self) -> dict[str, dict[str, list[str]]]:
        """{list: {batch: ids}}."""
        data = self.data
        lists = {"train": data.train, "label": data.label, "cam": data.train | data.label, "evaluate": data.evaluate}
        return {name: self.batches_of(images) for name, images in lists.items()}

    def batches_of(self, images: Iterable[str]) -> dict[str, list[str]]:
        """Ids by batch. Trained images and others never share one, so that new images retrain nothing."""
        images = list(images)
        known = batches([i for i in images if i in self.data.train], self.batch_size)
        new = batches([i for i in images if i not in self.data.train], self.batch_size)
        return {f"train_{bits}": ids for bits, ids in known.items()} | {f"new_{bits}": ids for bits, ids in new.items()}

    def batch_jobs(self, stage: str, rule: Callable[[Settings], str | None] | str = "") -> Iterator[Job]:
        """A job for each batch of each folder of a stage.

        rule: what its rules' names begin with, by default the stage; as a function of the settings None leaves out.
        """
        for folder, experiment in self.stated_owners(stage).items():
            first = rule(self.experiments[experiment]) if callable(rule) else rule or stage
            for batch, ids in self.batches[self.patterns[stage].images].items():
                if first and self.states(name := rule_name(first, folder, batch)):
                    yield Job(self, name, stage, folder, experiment, f"{stage}/{folder}{batch}", ids)

    def data_jobs(self, rule: str, images: Collection[str]) -> Iterator[Job]:
        """A job for each batch of images of the data set, which no experiment changes."""
        for batch, ids in self.batches_of(images).items():
            if self.states(name := f"{rule}_{batch}"):
                yield Job(self, name, "", "", next(iter(self.experiments)), f"{rule}/{batch}", ids)

    def training_jobs(self, stage: str) -> Iterator[Job]:
        """A job for each folder of a training."""
        for folder, experiment in self.stated_owners(stage).items():
            if self.states(name := rule_name(stage, folder)):
                images = getattr(self.data, trainings_of(self.experiments[experiment])[stage].images)
                yield Job(self, name, stage, folder, experiment, f"{folder}{stage}", list(images), table=False)

    def evaluation_jobs(self, evaluated: str) -> Iterator[Job]:
        """A job for each folder of an evaluation."""
        row = EVALUATIONS[evaluated]
        for folder, experiment in self.stated_owners(row.stage).items():
            if self.states(name := rule_name(f"evaluate_{evaluated}", folder)):
                ids = list(getattr(self.data, row.images))
                yield Job(self, name, row.files, folder, experiment, f"evaluate/{folder}{evaluated}", ids)

    def tracking_jobs(self, tracked: str) -> Iterator[Job]:
        """A job for each folder of a child run."""
        stage = TRACKED[tracked].stage
        for folder, experiment in self.stated_owners(stage).items():
            if self.states(name := rule_name(f"track_{tracked}", folder)):
                yield Job(self, name, stage, folder, experiment, f"track/{folder}{tracked}", list(self.data.label))

    def experiment_jobs(self, rule: str) -> Iterator[Job]:
        """A job for each experiment: its parent run, its report, its summary; named like it alone without a rule."""
        for experiment in self.stated_experiments:
            if self.states(name := f"{rule}_{experiment}".removeprefix("_")):
                yield Job(self, name, "", f"{experiment}/", experiment, f"{rule}/{experiment}", list(self.data.label))

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

    # What jobs measured

    def is_segmented(self, experiment: str) -> bool:
        """Whether an experiment that shares this one's pseudo labels trains a segmentation network."""
        by_experiment = self.folders["predict"]
        return any(by_experiment[name] == by_experiment[experiment] for name in self.segmented)

    def _is_made(self, experiment: str, stage: str) -> bool:
        segmentation = stage in ("segmentation", "predict")
        return self.has(experiment, stage) and (not segmentation or self.is_segmented(experiment))

    def seconds_files(self, experiment: str, stage: str, images: str) -> list[str]:
        """The tables of seconds per image that the batch jobs of an experiment's stage write."""
        folder = self.folders[stage][experiment]
        return [f"{self.results}/seconds/{stage}/{folder}{batch}.csv" for batch in self.batches[images]]

    def timing_files(self, experiment: str, evaluated: str) -> list[str]:
        """The tables of seconds per image that an evaluation counts."""
        stages = timed_stages(evaluated, self.experiments[experiment])
        return [path for stage, images in stages for path in self.seconds_files(experiment, stage, images)]

    def training_records(self, experiment: str) -> list[str]:
        """What an experiment's trainings took, its own and those it shares."""
        return [
            f"{self.results}/seconds/{self.folders[stage][experiment]}{stage}.json"
            for stage in trainings_of(self.experiments[experiment])
            if self._is_made(experiment, stage)
        ]

    def provenance_files(self, experiment: str, tracked: str) -> list[str]:
        """What the jobs of a tracked stage wrote of themselves."""
        row = TRACKED[tracked]
        timed = [EVALUATIONS[evaluated].timed for evaluated in row.evaluations]
        files = [path for pair in timed if pair for path in self.seconds_files(experiment, *pair)]
        if row.training:
            files.append(f"{self.results}/seconds/{self.folders[row.training][experiment]}{row.training}.json")
        return files

    def evaluations(self, experiment: str, suffix: str = "json", wanted: Iterable[str] | None = None) -> list[str]:
        """The files of an experiment's evaluations, or of the wanted ones among them."""
        rows = {evaluated: EVALUATIONS[evaluated].stage for evaluated in (EVALUATIONS if wanted is None else wanted)}
        return [
            f"{self.results}/evaluation/{self.folders[stage][experiment]}{evaluated}.{suffix}"
            for evaluated, stage in rows.items()
            if self._is_made(experiment, stage)
        ]

    def run_files(self, experiment: str, own: bool) -> list[str]:
        """The files of an experiment's child runs: of the stages that it computes itself, or of those it shares."""
        found = []
        for tracked, row in TRACKED.items():
            if self._is_made(experiment, row.stage):
                folder = self.folders[row.stage][experiment]
                if (self.owners[row.stage][folder] == experiment) == own:
                    found.append(f"{self.results}/mlflow/{folder}{tracked}.json")
        return found


BENCHMARK_RULES = ("bench", "benchmark_core")


def benchmarked_experiment(plan: Plan, base: str) -> str:
    """The first experiment with IRNet's affinities and partial labels, whose images the GCN core is timed on."""
    return next(
        (name for name in plan.experiments if plan.has(name, "irnet_affinity") and plan.has(name, "partial")), base
    )
