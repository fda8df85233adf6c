"""Where every file of a project lies: which experiments share a stage's folder, and which images a batch holds."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from wsgcn.data.dataset import Dataset, batches, painting_digest
from wsgcn.workflow.flow import BASELINES, FURTHER_FILES, stages_of, teacher_of, trainings_of
from wsgcn.workflow.measured import EVALUATIONS, TRACKED, timed_stages
from wsgcn.workflow.rows import Stage
from wsgcn.workflow.sharing import folders


@dataclass(frozen=True)
class Layout:
    """The files of some experiments on a data set as it is worked on.

    experiments: the settings of each, the base first; results: the data set's folder; segmented: the experiments whose
    labels train a segmentation network; large: (height, width) of the images that smaller copies stand for;
    corrections: the files of images that have one.
    """

    experiments: Mapping[str, dict]
    data: Dataset
    results: str
    batch_size: int
    segmented: Collection[str] = ()
    large: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    corrections: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def folders(self) -> dict[str, dict[str, str]]:
        """{stage: {experiment: folder}}, the folder "" or "<experiment>/"."""
        found = folders(self.experiments)
        found |= {name: dict.fromkeys(self.experiments, "") for name in BASELINES}
        return found | {name: found[stage] for name, (stage, _) in FURTHER_FILES.items()}

    @cached_property
    def owners(self) -> dict[str, dict[str, str]]:
        """{stage: {folder: the first experiment that has it}}, one set of rules each."""
        owners: dict[str, dict[str, str]] = {}
        for stage, by_experiment in self.folders.items():
            for experiment, folder in by_experiment.items():
                owners.setdefault(stage, {}).setdefault(folder, experiment)
        return owners

    def has(self, experiment: str, stage: str) -> bool:
        """Whether an experiment has a stage."""
        return experiment in self.folders.get(stage, {})

    @cached_property
    def teachers(self) -> set[str]:
        """The experiments whose labels other experiments' CAMs are trained on."""
        return {teacher for settings in self.experiments.values() if (teacher := teacher_of(settings))}

    # Files

    @cached_property
    def own_stages(self) -> dict[str, dict[str, Stage]]:
        """The stages of each experiment by name; settings may change the kind of their files."""
        return {name: stages_of(settings) | BASELINES for name, settings in self.experiments.items()}

    @cached_property
    def patterns(self) -> dict[str, Stage]:
        """The stages of all experiments by name."""
        return {name: stage for own in self.own_stages.values() for name, stage in own.items()}

    def files(self, experiment: str, stage: str, images: Iterable[str]) -> list[str]:
        """The files of an experiment's stage of some images; none if it has no such stage."""
        if not self.has(experiment, stage):
            return []
        pattern = FURTHER_FILES[stage][1] if stage in FURTHER_FILES else self.own_stages[experiment][stage].file
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

    @cached_property
    def painted(self) -> list[str]:
        """The ids of all images whose mask a job paints."""
        return [image.id for image in self.data.images.values() if image.painted]

    def painting(self, images: Iterable[str]) -> dict[str, object]:
        """Parameters of a job that paints the masks of some ids: one hash of all, since they are kept per mask."""
        digests = [own.digest for image in images if (own := self.data.images[image].painted)]
        return {"sources": list(self.data.sources), "digest": painting_digest(self.data.numbering, digests)}

    def tags(self, images: Iterable[str]) -> list[list[int]]:
        """The image-level classes of some ids, in their order."""
        return [list(self.data.images[image].classes) for image in images]

    def tagged(self, images: Iterable[str]) -> list[str]:
        """Those of some ids that show a class."""
        return [image for image in images if self.data.images[image].classes]

    def corrected(self, images: Iterable[str]) -> list[str]:
        """Those of some ids that have a correction."""
        return [image for image in images if image in self.corrections]

    def uncorrected(self, images: Iterable[str]) -> list[str]:
        """Those of some ids that have none."""
        return [image for image in images if image not in self.corrections]

    def untagged(self, images: Iterable[str]) -> dict[str, list[str]]:
        """Parameter of a job that does not know the tags: its images without a class, where it has any."""
        found = [image for image in images if not self.data.images[image].classes]
        return {"negatives": found} if found else {}

    def known_negatives(self, images: Iterable[str]) -> dict[str, list[str]]:
        """Parameter of an evaluation: its images that are known to show no class, where it has any."""
        found = [image for image in images if self.data.images[image].negative]
        return {"negatives": found} if found else {}

    def groups(self, images: Iterable[str]) -> list[str]:
        """What must stay together of some ids: the group of each, or the image itself."""
        return [self.data.images[image].group or image for image in images]

    def full_sizes(self, images: Collection[str]) -> dict[str, list]:
        """Parameter of a job that writes labels: the sizes that they are to have where images have smaller copies."""
        if not self.large.keys() & set(images):
            return {}
        return {"full_sizes": [self.large.get(image) for image in images]}

    # Batches

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
        asked = [name for name in (EVALUATIONS if wanted is None else wanted) if self.is_evaluated(name)]
        rows = {evaluated: EVALUATIONS[evaluated].stage for evaluated in asked}
        return [
            f"{self.results}/evaluation/{self.folders[stage][experiment]}{evaluated}.{suffix}"
            for evaluated, stage in rows.items()
            if self._is_made(experiment, stage)
        ]

    def is_evaluated(self, evaluated: str) -> bool:
        """Whether there is something to compare with, where labels are made for that alone."""
        row = EVALUATIONS[evaluated]
        return not row.needs_masks or any(image.mask for image in getattr(self.data, row.images).values())

    def run_files(self, experiment: str, own: bool) -> list[str]:
        """The files of an experiment's child runs: of the stages that it computes itself, or of those it shares."""
        found = []
        for tracked, row in TRACKED.items():
            if self._is_made(experiment, row.stage):
                folder = self.folders[row.stage][experiment]
                if (self.owners[row.stage][folder] == experiment) == own:
                    found.append(f"{self.results}/mlflow/{folder}{tracked}.json")
        return found


def evenly_spaced(images: Iterable[str], count: int) -> list[str]:
    """So many ids, evenly spaced over the sorted list; all where it is shorter."""
    ids = sorted(images)
    count = min(count, len(ids))
    return [ids[k * len(ids) // count] for k in range(count)]
