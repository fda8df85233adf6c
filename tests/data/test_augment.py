"""Scaling, flipping and cropping keep an image and its label aligned."""

import numpy as np
import pytest

from wsgcn.data.augment import flip_and_crop, rescale, resize, resize_label

MEAN = np.array([123.6, 10.2, 7.0])


@pytest.fixture
def pair():
    """An image [6, 9, 3] and a label whose values encode each pixel's position."""
    y, x = np.mgrid[:6, :9]
    return np.stack([y, x, 200 + 0 * y], 2).astype(np.uint8), (10 * y + x).astype(np.uint8)


def source_pixels(canvas):
    """{(row, column) of the crop: (y, x) of the image} of the pixels that are not padding."""
    return {(r, c): tuple(canvas[r, c, :2].tolist()) for r, c in np.ndindex(canvas.shape[:2]) if canvas[r, c, 2] == 200}


@pytest.mark.parametrize("size", [1, 4, 7, 12])
def test_a_crop_is_part_of_the_image_or_of_its_mirror_image(size, pair):
    image, label = pair
    views, starts = set(), set()
    for seed in range(60):
        canvas, target = flip_and_crop(image, label, size, MEAN, np.random.default_rng(seed))
        assert canvas.shape == (size, size, 3) and target.shape == (size, size)
        assert canvas.dtype == target.dtype == np.uint8
        pixels = source_pixels(canvas)
        assert len(pixels) == min(6, size) * min(9, size)
        (r0, c0), (y0, x0) = next(iter(pixels.items()))
        direction = 1 if (r0, c0 + 1) in pixels and pixels[r0, c0 + 1][1] > x0 else -1
        for r, c in np.ndindex(size, size):
            if (r, c) in pixels:
                assert pixels[r, c] == (y0 + r - r0, x0 + direction * (c - c0))
                assert target[r, c] == 10 * pixels[r, c][0] + pixels[r, c][1]
            else:
                assert canvas[r, c].tolist() == [124, 10, 7]
                assert target[r, c] == 255
        views.add(direction)
        starts.add((r0, c0, y0, x0))
    assert size == 1 or views == {1, -1}
    assert len(starts) > 5


def test_an_image_of_the_crop_size_is_mirrored_half_of_the_time():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    straight = 0
    for seed in range(200):
        canvas, _ = flip_and_crop(image, None, 4, MEAN, np.random.default_rng(seed))
        same, mirrored = np.array_equal(canvas, image), np.array_equal(canvas, image[:, ::-1])
        assert same != mirrored
        straight += same
    assert 70 < straight < 130


def test_the_image_does_not_depend_on_the_label(pair):
    image, label = pair
    first, second = (flip_and_crop(image, target, 7, MEAN, np.random.default_rng(4)) for target in (label, None))
    np.testing.assert_array_equal(first[0], second[0])
    assert second[1] is None


def test_several_labels_share_the_crop(pair):
    image, label = pair
    both = np.dstack([label, 100 + label])
    for seed in range(6):
        single = flip_and_crop(image, label, 7, MEAN, np.random.default_rng(seed))[1]
        found = flip_and_crop(image, both, 7, MEAN, np.random.default_rng(seed))[1]
        np.testing.assert_array_equal(found[..., 0], single)
        np.testing.assert_array_equal(found[..., 1], np.where(single == 255, 255, 100 + single))


def test_inputs_are_not_modified(pair):
    image, label = (array.copy() for array in pair)
    canvas, target = flip_and_crop(*pair, 4, MEAN, np.random.default_rng(0))
    canvas[:], target[:] = 1, 1
    np.testing.assert_array_equal(pair[0], image)
    np.testing.assert_array_equal(pair[1], label)


@pytest.mark.parametrize("scale, size", [(1, (6, 9)), (0.5, (3, 4)), (1.5, (9, 14)), (2, (12, 18)), (0.01, (1, 1))])
def test_rescale_keeps_image_and_label_the_same_size(scale, size, pair):
    image, label = rescale(*pair, scale)
    assert image.shape == (*size, 3) and label.shape == size
    assert image.dtype == label.dtype == np.uint8
    assert rescale(pair[0], None, scale)[1] is None


def test_resize_label_makes_no_new_classes(rng):
    label = rng.choice([0, 7, 255], (13, 17)).astype(np.uint8)
    for size in ((5, 6), (40, 31)):
        resized = resize_label(label, *size)
        for r, c in np.ndindex(size):  # the pixel under the centre
            assert resized[r, c] == label[int((r + 0.5) * 13 / size[0]), int((c + 0.5) * 17 / size[1])]


def test_resize_and_resize_label_stay_aligned():
    label = np.zeros((24, 36), np.uint8)
    label[6:18, 12:30] = 1
    image = np.repeat(label[..., None] * 255, 3, axis=2)
    for size in ((12, 18), (48, 72), (17, 23)):
        agree = (resize(image, *size)[..., 0] > 127) == (resize_label(label, *size) > 0)
        assert agree.mean() > 0.97


def test_resize_antialiases():
    stripes = np.tile(np.array([0, 255], np.uint8)[None, :, None], (16, 8, 3))
    assert abs(resize(stripes, 4, 4)[1:-1, 1:-1].astype(int) - 127).max() < 20
    assert resize(stripes, 16, 16) is stripes


def test_resized_labels_are_writable(pair):
    assert resize_label(pair[1], 3, 4).flags.writeable
