"""Masks as class indices, and batches that another image leaves as they are."""

import numpy as np
import pytest

from wsgcn.data.dataset import batches, mask_values, read_truth
from wsgcn.files import write_label


@pytest.fixture
def mask(tmp_path):
    """Write a mask of some values, return its path."""

    def write(values):
        write_label(tmp_path / "mask.png", np.array(values, np.uint8))
        return tmp_path / "mask.png"

    return write


def test_read_truth_maps_every_value(mask, rng):
    values = (0, 2, 255, 1, *[-1] * 251, 255)
    given = rng.choice([0, 1, 2, 3, 255], (6, 7))
    truth = read_truth(mask(given), values)
    assert truth.tolist() == [[values[v] for v in row] for row in given]


def test_a_mask_with_a_value_of_no_class_is_an_error(mask):
    path = mask([[0, 3, 4, 255, 17]])
    with pytest.raises(ValueError, match=rf"^mask {path} contains values of no class: 4, 17$"):
        read_truth(path, mask_values(["leaf", "root", "stem"]))


IDS = [f"2007_{k:06d}" for k in range(300)]


@pytest.mark.parametrize("size", [1, 2, 5, 32, 200, 1000])
def test_batches_contain_every_id_once_and_are_not_too_large(size):
    found = batches(IDS, size)
    assert sorted(i for members in found.values() for i in members) == IDS
    assert all(1 <= len(members) <= max(1, 1.5 * size) for members in found.values())
    assert all(members == sorted(members) for members in found.values())
    assert list(found) == ["all"] if size >= 200 else set("".join(found)) == {"0", "1"}
    if size <= 32:
        assert len(IDS) / len(found) >= 0.4 * size  # nor too small on average


def test_batches_of_one_give_each_image_a_job():
    assert sorted(batches(IDS, 1).values()) == [[i] for i in IDS]


def test_batches_do_not_depend_on_order_or_repeats():
    assert batches([*reversed(IDS), *IDS[:9]], 8) == batches(IDS, 8)
    assert batches([], 8) == {}


@pytest.mark.parametrize("size", [1, 8, 32])
def test_a_new_id_changes_only_its_leaf(size):
    before = batches(IDS, size)
    for other in (f"other_{k}" for k in range(40)):
        after = batches([*IDS, other], size)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        gone = changed & before.keys()
        moved = {i for key in changed & after.keys() for i in after[key]}
        assert len(gone) <= 1
        assert moved == {other} | {i for key in gone for i in before[key]}
