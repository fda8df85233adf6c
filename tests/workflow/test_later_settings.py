"""Settings that came after results: at their default nothing knows them, so that what has finished stays valid."""

from dataclasses import fields

import pytest
from configs import BASE, SETTINGS

from wsgcn.affinity.irnet import BoundarySettings, IrnetTrainingSettings
from wsgcn.cam.classifier import CamSettings, ClassifierSettings
from wsgcn.data.dataset import Dataset, Image
from wsgcn.networks.backbone import BackboneSettings
from wsgcn.refinement.random_walk import RandomWalkSettings
from wsgcn.workflow.directives import cam_params, infer_params, refiner_params, training_params
from wsgcn.workflow.experiments import merge
from wsgcn.workflow.plan import Plan
from wsgcn.workflow.sharing import LATER_DEFAULTS, relevant_settings, value_of

KINDS = {
    "backbone": BackboneSettings,
    "classifier": ClassifierSettings,
    "cam": CamSettings,
    "irnet": BoundarySettings,
    "irnet.training": IrnetTrainingSettings,
    "random_walk": RandomWalkSettings,
}
"""Sections of IRN and of its walk, with the class that a job makes of what it is told."""

KEYS = [key for key in LATER_DEFAULTS if key.rpartition(".")[0] in KINDS]
OTHERS = {"stretched": "cut", "unpooled": "pooled", "probabilities": "logits", "all": "inner", "aligned": "cut"}
OTHERS |= {"class": "image", True: False, 0: 3}
IMAGE = Image("a", "a.jpg", (1,), None)
DATA = Dataset(("cat",), {"a": IMAGE}, {"a": IMAGE}, {"a": IMAGE}, (0, 1), ("cat",))
READ_BY = {
    "backbone.dilated": {"classifier", "cam", "boundary", "irnet_affinity"},
    "classifier.freeze_stages": {"classifier"},
    "cam.full_size": {"cam"},
    "irnet.first_stage": {"boundary", "irnet_affinity"},
    "irnet.pad_to": {"irnet_affinity"},
    "irnet.flip_mean": {"irnet_affinity"},
    "irnet.training.pairs": {"boundary"},
    "random_walk.upsampling": {"refined"},
    "random_walk.maximum": {"refined"},
}


def params_of(changed: dict) -> dict[str, dict]:
    """The parameters of each job of a walk along IRNet's affinities."""
    settings = merge(SETTINGS, {"affinity": "irnet", "refinement": "random_walk"})
    plan = Plan({BASE: merge(settings, changed)}, DATA, "results", batch_size=1)
    batch = {"cam": cam_params, "irnet_affinity": lambda job: infer_params(job, "irnet"), "refined": refiner_params}
    trained = {stage: training_params(next(plan.training_jobs(stage))) for stage in ("classifier", "boundary")}
    return trained | {stage: params(next(plan.batch_jobs(stage))) for stage, params in batch.items()}


def names_in(value: object) -> set[str]:
    return set(value).union(*map(names_in, value.values())) if isinstance(value, dict) else set()


@pytest.mark.parametrize("key", KEYS)
def test_the_default_is_the_same_everywhere(key):
    section, _, name = key.rpartition(".")
    (own,) = [field for field in fields(KINDS[section]) if field.name == name]
    assert own.default == LATER_DEFAULTS[key] == value_of(SETTINGS, key)


def test_no_job_is_told_of_a_default():
    names = set().union(*map(names_in, params_of({}).values()))
    assert not names & {key.rpartition(".")[2] for key in KEYS}
    assert not set(relevant_settings(SETTINGS)) & set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_another_value_is_told_to_the_jobs_that_read_it(key):
    changed: object = OTHERS[LATER_DEFAULTS[key]]
    for part in reversed(key.split(".")):
        changed = {part: changed}
    default, other = params_of({}), params_of(changed)
    assert {stage for stage in default if default[stage] != other[stage]} == READ_BY[key]
    told = names_in(other[min(READ_BY[key])])
    assert key.rpartition(".")[2] in told
    settings = merge(SETTINGS, {"refinement": "random_walk"})
    assert key in relevant_settings(merge(settings, changed)) and key not in relevant_settings(settings)
