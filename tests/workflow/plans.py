"""Plans without a workflow, for tests."""

from configs import CONFIG, SCHEMA, config_with

from wsgcn.data.dataset import Dataset, Image
from wsgcn.workflow.experiments import read_experiments, segmented_experiments
from wsgcn.workflow.plan import Plan

CLASSES = ("cat", "dog")


def images(*names: str, masked: bool = True) -> dict[str, Image]:
    return {name: Image(name, f"data/{name}.jpg", (1,), f"masks/{name}.png" if masked else None) for name in names}


def dataset(train=("a", "b", "c"), label=("a", "b", "d"), evaluate=("e",)) -> Dataset:
    """Three images to train on, of which two and another one get labels, one to evaluate on."""
    return Dataset(CLASSES, images(*train), images(*label), images(*evaluate), (0, 1, 2), CLASSES)


def plan(experiments: dict | None = None, data: Dataset | None = None, batch_size: int = 32, **others) -> Plan:
    """A plan of config.yaml's base and these experiments."""
    config = config_with(experiments)
    settings = read_experiments(config, SCHEMA)
    segmented = segmented_experiments(config, settings)
    return Plan(settings, data or dataset(), "results/tiny", batch_size, segmented, **others)


BASE = CONFIG["experiment"]
