"""The samples of a training: their order, their augmentation, images with their labels."""

import numpy as np
import pytest
from PIL import Image

from wsgcn.files import IGNORE, write_label
from wsgcn.networks.samples import Corrections, SampleStream, labelled_crops


def index_and_draw(index, rng):
    """A sample that holds its image's index and what its generator draws."""
    return index, rng.random()


@pytest.mark.parametrize("count", [1, 2, 7])
def test_each_epoch_covers_every_image_once(count):
    stream = SampleStream(count, 3 * count, 5, index_and_draw)
    assert len(stream) == 3 * count
    for epoch in range(3):
        assert sorted(stream[epoch * count + k][0] for k in range(count)) == list(range(count))


def test_a_sample_depends_on_seed_and_position_only():
    stream = SampleStream(6, 60, 5, index_and_draw)
    forward = [stream[k] for k in range(60)]
    longer = SampleStream(6, 600, 5, index_and_draw)
    assert [longer[k] for k in reversed(range(60))] == forward[::-1]
    assert [SampleStream(6, 60, 6, index_and_draw)[k] for k in range(60)] != forward


def test_each_epoch_is_shuffled_and_augmented_differently():
    stream = SampleStream(20, 60, 0, index_and_draw)
    epochs = [[stream[20 * e + k] for k in range(20)] for e in range(3)]
    assert len({tuple(index for index, _ in epoch) for epoch in epochs}) == 3
    assert len({number for epoch in epochs for _, number in epoch}) == 60


@pytest.mark.parametrize("size", [None, (5, 3)])
def test_crops_carry_their_labels(size, tmp_path):
    """The label is one where the picture is red, whatever the scale, the mirroring and the crop."""
    label = np.zeros((30, 40), np.uint8)
    label[8:22, 10:24] = 1
    Image.fromarray(np.stack([label * 255, 0 * label, 0 * label], -1)).save(tmp_path / "image.png")
    write_label(tmp_path / "label.png", label)
    sample = labelled_crops(
        [str(tmp_path / "image.png")], [str(tmp_path / "label.png")], 20, (0.5, 2), np.zeros(3), size
    )
    for seed in range(8):
        crop, found = sample(0, np.random.default_rng(seed))
        assert crop.shape == (20, 20, 3) and found.shape == (size or (20, 20)) and crop.dtype == found.dtype == np.uint8
        if not size:
            labelled = found != IGNORE
            assert ((crop[..., 0] > 128) == (found == 1))[labelled].mean() > 0.95


@pytest.mark.parametrize("size", [None, (5, 5)])
def test_crops_carry_corrections_and_their_weight(size, tmp_path):
    """Image and label agree with those without corrections; a scribble of one pixel reaches a coarse grid."""
    label = np.zeros((30, 40), np.uint8)
    label[8:22, 10:24] = 1
    scribble = np.full((30, 40), IGNORE, np.uint8)
    scribble[15] = 2
    Image.fromarray(np.stack([label * 255, 255 * (scribble == 2), 0 * label], -1).astype(np.uint8)).save(
        tmp_path / "image.png"
    )
    write_label(tmp_path / "label.png", label)
    write_label(tmp_path / "scribble.png", scribble)
    files = [[str(tmp_path / "image.png")] * 2, [str(tmp_path / "label.png")] * 2]
    plain = labelled_crops(*files, 20, (0.5, 2), np.zeros(3), size)
    corrections = Corrections([str(tmp_path / "scribble.png"), None], 7.5)
    sample = labelled_crops(*files, 20, (0.5, 2), np.zeros(3), size, corrections)
    seen = 0
    for seed in range(8):
        crop, found = plain(0, np.random.default_rng(seed))
        own_crop, own, weight = sample(0, np.random.default_rng(seed))
        np.testing.assert_array_equal(own_crop, crop)
        assert weight.dtype == np.float32 and weight.shape == own.shape == found.shape
        corrected = weight == 7.5
        np.testing.assert_array_equal(own, np.where(corrected, 2, found))
        assert (weight[~corrected] == 1).all()
        rows = set(np.flatnonzero(corrected.any(1)))
        drawn = (crop[..., 1] > 200).any(1)
        if not size:
            assert corrected[drawn].any() or not drawn.any()
        seen += bool(rows)
        other_crop, other, ones = sample(1, np.random.default_rng(seed))
        np.testing.assert_array_equal(other_crop, crop)
        np.testing.assert_array_equal(other, found)
        assert (ones == 1).all()
    assert seen >= 6


@pytest.mark.parametrize("scale", [(0.5, 2), (1.2, 1.3)])
@pytest.mark.parametrize("corrected", [False, True])
def test_the_scale_is_drawn_from_its_range(corrected, scale, tmp_path):
    """Seen by the size of what is not padding, in the crop and in its label; evenly, so that the mean is the middle."""
    Image.new("RGB", (40, 50), (9, 9, 9)).save(tmp_path / "image.png")
    write_label(tmp_path / "label.png", np.ones((50, 40), np.uint8))
    files = [str(tmp_path / "image.png")], [str(tmp_path / "label.png")]
    corrections = Corrections([None], 2.0) if corrected else None
    sample, heights = labelled_crops(*files, 128, scale, np.full(3, 200.0), None, corrections), []
    for seed in range(100):
        crop, label = sample(0, np.random.default_rng(seed))[:2]
        own = (crop == 9).all(2)
        np.testing.assert_array_equal(own, label == 1)
        heights.append(own.any(1).sum())
        assert abs(own.any(0).sum() - 0.8 * heights[-1]) <= 1
    low, high = (50 * bound for bound in scale)
    assert low - 1 <= min(heights) <= low + 4 and high - 4 <= max(heights) <= high + 1
    assert abs(np.mean(heights) - (low + high) / 2) < 0.1 * (high - low) + 0.5
