"""What jobs write beside their outputs: seconds, minutes of training, skipped images.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_job_records.py`.
"""

import numpy as np

from wsgcn.evaluation.records import (
    flat_trainings,
    gain_of,
    mean_seconds,
    skipped_at_stages,
    skipped_images,
    training_minutes,
)
from wsgcn.files import write_json, write_label, write_skipped


def test_mean_seconds_sums_the_tables_per_image(tmp_path):
    """Skipped images have no rows."""
    for name, text in {"a": "one,1\ntwo,2\n", "b": "three,4\n", "c": "one,0.5\n", "d": ""}.items():
        (tmp_path / name).write_text(f"image,seconds\n{text}")
    tables = [str(tmp_path / name) for name in "abcd"]
    assert mean_seconds(tables) == (1.5 + 2 + 4) / 3
    assert mean_seconds(tables[3:]) is None and mean_seconds([]) is None


def test_training_minutes_are_named_by_stage(tmp_path):
    for name, seconds in {"classifier": 90, "boundary": 6}.items():
        write_json(tmp_path / f"{name}.json", {"seconds": seconds, "made_by": {}})
    paths = [str(tmp_path / f"{name}.json") for name in ("classifier", "boundary")]
    assert training_minutes(paths) == {"classifier": 1.5, "boundary": 0.1}
    assert list(training_minutes(paths)) == ["classifier", "boundary"]


def test_networks_that_learnt_nothing_are_found_in_their_records(tmp_path):
    for name, gain in {"boundary": 0.01, "affinitynet": 0.5}.items():
        learnt = {"learnt": {"section": f"{name}.training", "gain": gain}}
        write_json(tmp_path / f"{name}.json", {"seconds": 1, "made_by": {}} | learnt)
    write_json(tmp_path / "classifier.json", {"seconds": 1, "made_by": {}})
    (tmp_path / "cam.csv").write_text("image,seconds\n")
    cam, classifier, boundary, affinitynet = (
        str(tmp_path / name) for name in ("cam.csv", "classifier.json", "boundary.json", "affinitynet.json")
    )
    (why,) = flat_trainings([classifier, boundary, affinitynet])
    assert why.startswith("boundary.training: the network has learnt nothing")
    assert gain_of([cam, affinitynet]) == 0.5 and gain_of([classifier, cam]) is None and gain_of([]) is None


EVALUATIONS = [{"skipped": {"a": "cam: no"}}, {"skipped": {}}, {"skipped": {"a": "cam: no", "b": "refine: no"}}]


def test_images_skipped_at_several_stages_are_listed_once():
    assert skipped_at_stages(EVALUATIONS) == {"a": "cam: no", "b": "refine: no"}


def test_skipped_images_of_training_evaluation_and_lists(tmp_path):
    write_label(tmp_path / "fine.png", np.zeros((2, 2), np.uint8))
    write_skipped(tmp_path / "t.png", "irnet_label: no")
    write_skipped(tmp_path / "a.png", "cam: no")
    labels = [str(tmp_path / f"{name}.png") for name in ("fine", "t", "a", "deleted")]
    skipped = skipped_images(EVALUATIONS, labels, {"m": "image m.png does not exist"})
    assert skipped == {"t": "irnet_label: no", "a": "cam: no", "b": "refine: no", "m": "image m.png does not exist"}
    assert skipped_images([], [], {}) == {}
