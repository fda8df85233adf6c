"""Tags of masked images: heads against a slow cross-validation, drawn labels of known quality.

Run alone: `.venv/bin/python -m pytest tests/evaluation/test_consistency.py`.
"""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from wsgcn.cam.head import HeadSettings, fold_of_images, solve_head, tag_matrix
from wsgcn.data import demo_scenes as demo
from wsgcn.evaluation.consistency import held_out_heads, open_pool, pool_images, separable_classes, tag_consistency
from wsgcn.evaluation.judging import JudgedFiles, judge_consistency
from wsgcn.files import write_label

SETTINGS = HeadSettings((0.01,), 3)


def test_classes_that_all_images_or_none_show_cannot_be_judged():
    assert separable_classes([(1, 2), (1,), (1, 4)]) == (2, 4)
    assert separable_classes([(1,), ()]) == (1,) and separable_classes([(1,)]) == separable_classes([()]) == ()


def test_each_image_has_a_head_that_was_solved_without_its_fold(rng):
    pooled, ids = rng.standard_normal((12, 5)) + 2, [f"image{k}" for k in range(12)]
    tags = [[(1,), (2,), (1, 2), ()][k % 4] for k in range(12)]
    found = held_out_heads(pooled, tags, 2, ids, ids, SETTINGS)
    fold = fold_of_images(ids, tag_matrix(tags, 2), 3)
    assert found["fold"].tolist() == fold.tolist() and found["ids"].tolist() == ids
    for k in range(3):
        others = [j for j in range(12) if fold[j] != k]
        deviations = [np.std([row[d] for row in pooled]) for d in range(5)]
        scale = [own + sum(deviations) / 5 / 10 for own in deviations]
        slow, _ = solve_head(
            np.stack([pooled[j] / scale for j in others]), tag_matrix([tags[j] for j in others], 2), 0.01
        )
        np.testing.assert_allclose(found["weights"][k] @ pooled[0], slow @ (pooled[0] / scale), atol=1e-5)


def test_no_head_is_solved_where_no_class_can_be_judged(rng):
    found = held_out_heads(rng.standard_normal((4, 5)), [(1,)] * 4, 1, list("abcd"), list("abcd"), SETTINGS)
    assert found["separable"].size == 0 and found["weights"].shape == (0, 1, 5)


def test_consistency_is_the_logit_of_the_pixels_alone_minus_that_of_the_others(rng):
    """With features that are mean colours, everything can be written out."""
    image, label = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8), rng.choice([0, 1, 3], (4, 5)).astype(np.uint8)
    head, colour = rng.standard_normal((3, 3)), np.array([10, 20, 30], np.uint8)
    expected = []
    for index in (1, 3):
        alone, without = [], []
        for y in range(4):
            for x in range(5):
                shown = label[y, x] == index
                alone.append(image[y, x] if shown else colour)
                without.append(colour if shown else image[y, x])
        expected.append(head[index - 1] @ np.mean(alone, 0) - head[index - 1] @ np.mean(without, 0))
    found = tag_consistency(image, label, (1, 3), head, lambda pixels: pixels.mean((0, 1)), colour)
    assert found == pytest.approx(np.mean(expected))


def test_images_that_cannot_be_read_are_left_out_only_where_they_may_be(tmp_path):
    Image.new("RGB", (4, 3), (8, 8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    paths = [str(tmp_path / name) for name in ("b.png", "a.png")]
    indices, pooled = pool_images(paths, lambda image: image.mean((0, 1)), skips=True)
    assert indices == [1] and pooled.tolist() == [[8, 8, 8]]
    with pytest.raises(ValueError, match="b.png"):
        pool_images(paths, lambda image: image.mean((0, 1)), skips=False)


LABELS = {
    "true": lambda shown: shown,
    "shrunk": lambda shown: ndimage.binary_erosion(shown, iterations=6),
    "shifted": lambda shown: np.roll(shown, (20, 20), (0, 1)),
    "empty": np.zeros_like,
    "everything": np.ones_like,
    "inverse": np.logical_not,
}


def test_true_labels_of_drawings_are_more_consistent_than_bad_ones(tmp_path, wheel, cpu):
    """Those grown by a twelfth of the image are not told apart: what is around an object helps to recognise it."""
    plan, (pool, _) = demo.plan("train", 30, 0), open_pool(wheel, cpu)
    drawn = {name: demo.draw(name, shown, 0, 96) for name, shown in plan.items()}
    tags = [[demo.CLASSES.index(name) + 1 for name in shown] for shown in plan.values()]
    for name, (image, _) in drawn.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    images = [tmp_path / f"{name}.png" for name in drawn]
    _, pooled = pool_images(images, pool, skips=False)
    heads = held_out_heads(pooled, tags, len(demo.CLASSES), list(drawn), list(drawn), SETTINGS)
    means = {}
    for kind, change in LABELS.items():
        labels = [tmp_path / f"{kind}_{name}.png" for name in drawn]
        for path, own, (_, mask) in zip(labels, tags, drawn.values(), strict=True):
            label = np.zeros_like(mask)
            for index in own:
                label[change(mask == index)] = index
            write_label(path, label)
        judged = judge_consistency(JudgedFiles(list(drawn), tags, images, [], labels), heads, wheel, cpu)
        assert list(judged) == list(drawn)
        means[kind] = np.mean(list(judged.values()))
    assert max(means, key=means.get) == "true", means
    assert means["true"] > 0 > means["inverse"]
