"""What is checked before the first job, beside the data: networks to be built, trainings too short to learn."""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from wsgcn.data.dataset import Dataset
from wsgcn.networks.schedule import MIN_USEFUL_STEPS, num_steps
from wsgcn.workflow.directives import training_row
from wsgcn.workflow.plan import Job, Plan
from wsgcn.workflow.sharing import backbone_of, value_of
from wsgcn.workflow.stages import trainings_of


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
        key = training_row(job).params.get("settings")
        training = value_of(job.settings, key) if isinstance(key, str) else None
        if not isinstance(training, Mapping) or not {"epochs", "batch"} <= training.keys():
            continue  # it counts its steps otherwise
        epochs, batch, count = training["epochs"], training["batch"], len(job.ids)
        if (steps := num_steps(count, epochs, batch)) < MIN_USEFUL_STEPS:
            found.append(
                f"{key}: {epochs} epochs over {count} images are {steps} steps of {batch} images; a network hardly "
                f"learns in fewer than {MIN_USEFUL_STEPS}, so more epochs may help"
            )
    return found


def class_counts(data: Dataset) -> str:
    """The classes with how many images show each: a misspelt tag is a class of its own."""
    shown = Counter(data.classes[index - 1] for image in data.images.values() for index in image.classes)
    return f"classes: {', '.join(f'{name} ({shown[name]} images)' for name in data.classes)}"
