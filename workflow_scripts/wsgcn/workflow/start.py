"""What is checked before the first job, beside the data: networks to be built, trainings too short to learn,
experiments that are others once more."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from wsgcn.data.dataset import Dataset, Image
from wsgcn.networks.schedule import MIN_USEFUL_STEPS, num_steps
from wsgcn.text import flatten, printable
from wsgcn.workflow.directives import training_row
from wsgcn.workflow.flow import trainings_of
from wsgcn.workflow.plan import Job, Plan
from wsgcn.workflow.sharing import backbone_of, relevant_settings, select_params
from wsgcn.workflow.stages import FIRST_ROUND

MIN_IMAGES_PER_CLASS = 5
"""Classes that fewer images to train on show are reported."""


def export_library(folder: str) -> None:
    """Have the jobs of this process import the library in a folder, whichever else is installed."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder not in known:
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, known)])


def jobs_that_train(plan: Plan, running: Collection[str]) -> Iterator[Job]:
    """The jobs that train a network, of those whose output files are in `running`."""
    stages = dict.fromkeys(stage for settings in plan.experiments.values() for stage in trainings_of(settings))
    yield from (job for stage in stages for job in plan.training_jobs(stage) if job.file() in running)


def networks_to_train(plan: Plan, running: Collection[str]) -> list[tuple[str, Mapping, int]]:
    """Of each backbone that is to be trained: where the config names it, the backbone, its output stride."""
    backbones = (backbone_of(job.settings, training_row(job)) for job in jobs_that_train(plan, running))
    return [backbone for backbone in backbones if backbone]


def short_trainings(plan: Plan, running: Collection[str]) -> list[str]:
    """A sentence for each training with so few steps that its network hardly learns."""
    found = []
    for job in jobs_that_train(plan, running):
        keys = training_row(job).params.get("settings", ())
        training = select_params(job.settings, {"settings": keys})["settings"]
        key = keys if isinstance(keys, str) else keys[0].rpartition(".")[0] if keys else ""
        if not isinstance(training, Mapping) or not {"epochs", "batch"} <= training.keys():
            continue  # it counts its steps otherwise
        epochs, batch, count = training["epochs"], training["batch"], len(job.ids)
        min_steps = training.get("min_steps")
        if (steps := num_steps(count, epochs, batch, min_steps or 0)) < MIN_USEFUL_STEPS:
            help = "more epochs" if min_steps is None else "a larger min_steps"
            found.append(
                f"{key}: {count} images are trained on for {steps} steps of {batch} images; a network hardly learns in "
                f"fewer than {MIN_USEFUL_STEPS}, so {help} may help"
            )
    return found


def repeated_experiments(plan: Plan) -> list[str]:
    """A sentence for each needed experiment whose results are another's, since no stage of it reads what it changes."""
    found, settings = [], plan.experiments
    first = relevant_settings(settings[FIRST_ROUND]) if FIRST_ROUND in settings else {}
    for name in plan.stated_experiments:
        last = "predict" if plan.is_segmented(name) else "pseudo"
        other = plan.folders[last][name].rstrip("/")
        if other == name or plan.is_segmented(name) > plan.is_segmented(other):
            continue
        own, others = flatten(settings[name]), flatten(settings[other])
        changed = [key for key in own if own[key] != others[key]]
        why = f"none of its stages reads {', '.join(changed)}" if changed else "it changes nothing"
        if changed and first.keys() >= set(changed):
            why = f"{FIRST_ROUND} alone reads {', '.join(changed)}, and all experiments share it"
        found.append(f"experiment {name}: its results are those of {other}, since {why}")
    return found


def describe_classes(data: Dataset) -> str:
    """The classes with how many images show each, one per line: a misspelt tag is a class of its own.

    Below them, where there are any, the images that show none of them, and others that are evaluated without a class.
    """
    counts = _images_by_class(data.images.values())
    rows = [f"{counts[index]:8}  {printable(name)}" for index, name in enumerate(data.classes, start=1)]
    untagged = [image for image in data.images.values() if not image.classes]
    negatives = sum(image.negative for image in untagged)
    others = ((negatives, "(none of them)"), (len(untagged) - negatives, "(other tags, or none)"))
    rows += [f"{count:8}  {what}" for count, what in others if count]
    return "\n".join([f"images per class, of {len(data.images)} in all:", *rows])


def hard_classes(data: Dataset) -> list[str]:
    """A sentence for each kind of classes that the images to train on cannot teach, which names them."""
    counts, total = _images_by_class(data.train.values()), len(data.train)
    shown = {name: counts[index] for index, name in enumerate(data.classes, start=1)}
    none = [name for name, count in shown.items() if not count]
    every = [name for name, count in shown.items() if count and count == total]
    few = [f"{n} ({count})" for n, count in shown.items() if 0 < count < min(MIN_IMAGES_PER_CLASS, total)]
    return [
        f"dataset.train: {sentence}: {', '.join(names)}"
        for names, sentence in (
            (none, "no image shows these classes, so they cannot be learnt"),
            (every, "every image shows these classes, so nothing tells them from their background"),
            (few, f"fewer than {MIN_IMAGES_PER_CLASS} images show these classes, too few to learn from"),
        )
        if names
    ]


def _images_by_class(images: Iterable[Image]) -> Counter[int]:
    return Counter(index for image in images for index in image.classes)
