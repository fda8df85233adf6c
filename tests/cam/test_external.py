"""External CAMs: their arrays are read as they were saved, and wrong ones are named."""

import os

import numpy as np
import pytest
import torch
from external_files import HALF, NUM_CLASSES, SIZE, assert_refused, header, irn, save, slow_bilinear

from wsgcn.cam.contract import CamInput
from wsgcn.cam.external import open_external_cams, read_external_cams
from wsgcn.graph.grid import grid_size

CONVERSIONS = {
    "numpy": np.asarray,
    "fortran": np.asfortranarray,
    "big-endian": lambda a: a.astype(">f4"),
    "half": lambda a: a.astype(np.float16),
    "double": lambda a: a.astype(np.float64),
    "tensor": torch.tensor,
    "tensor-half": lambda a: torch.tensor(a).half(),
    "tensor-bfloat16": lambda a: torch.tensor(a).bfloat16(),
    "tensor-double": lambda a: torch.tensor(a).double(),
    "tensor-gradient": lambda a: torch.tensor(a).requires_grad_(),
    "tensor-view": lambda a: torch.tensor(np.stack([0 * a, a], -1))[..., 1],
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", CONVERSIONS)
def test_irn_style_is_read_as_it_was_saved(kind, protocol, rng, tmp_path):
    content = irn(rng, (3, 12, 7), convert=CONVERSIONS[kind])
    path = save(tmp_path / "a.npy", content, protocol)
    found = read_external_cams(str(path), SIZE, [7, 3], NUM_CLASSES)
    for name, array in zip(("cam", "high_res"), found, strict=True):
        expected = content[name]
        expected = expected.detach().float().numpy() if torch.is_tensor(expected) else expected.astype(np.float32)
        assert array.dtype == np.float32 and array.flags.writeable
        np.testing.assert_array_equal(array, expected[[2, 0]])


def test_names_of_numpy_1_and_long_headers_are_read(tmp_path):
    path = save(tmp_path / "a.npy", {"keys": [np.int64(3)], "high_res": HALF}, 2)
    data = path.read_bytes()
    assert b"numpy._core" in data
    path.write_bytes(data.replace(header(), header(version=(2, 0))).replace(b"numpy._core", b"numpy.core"))
    assert (read_external_cams(path, SIZE, (3,), NUM_CLASSES)[1] == 0.5).all()


@pytest.mark.parametrize("name", ["attn_highres", "highres"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_clip_es_style_is_read_and_coarsened(name, dtype, rng, tmp_path):
    maps = rng.random((3, *SIZE)).astype(dtype)
    path = save(tmp_path / "a.npy", {"keys": np.array([12, 3, 7]), name: maps})
    cam, full = read_external_cams(path, SIZE, (3, 12), NUM_CLASSES)
    expected = maps[[1, 0]].astype(np.float32)
    np.testing.assert_array_equal(full, expected)
    np.testing.assert_allclose(cam, slow_bilinear(expected, grid_size(*SIZE)), atol=1e-6)


@pytest.mark.parametrize("number", [int, np.int64, np.uint8])
@pytest.mark.parametrize("protocol", [2, 5])
def test_psa_style_is_read_and_coarsened(number, protocol, rng, tmp_path):
    maps = rng.random((3, *SIZE)).astype(np.float32)
    path = save(tmp_path / "a.npy", {number(k): m for k, m in zip((12, 3, 7), maps, strict=True)}, protocol)
    cam, full = read_external_cams(path, SIZE, (3, 12), NUM_CLASSES)
    np.testing.assert_array_equal(full, maps[[1, 0]])
    np.testing.assert_allclose(cam, slow_bilinear(maps[[1, 0]], grid_size(*SIZE)), atol=1e-6)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.int32, ">i8", "list", "list of numpy", torch.uint8, torch.int64]
)
def test_keys_of_every_kind(dtype, rng, tmp_path):
    content = irn(rng)
    if isinstance(dtype, torch.dtype):
        content["keys"] = torch.tensor([3, 7], dtype=dtype)
    elif str(dtype).startswith("list"):
        content["keys"] = [3, 7] if dtype == "list" else list(content["keys"])
    else:
        content["keys"] = content["keys"].astype(dtype)
    np.save(tmp_path / "2007_000032.npy", content)
    _, full = read_external_cams(tmp_path / "2007_000032.npy", SIZE, (7,), NUM_CLASSES)
    np.testing.assert_array_equal(full, content["high_res"][[1]])


@pytest.mark.parametrize("left_out", [{"cam": None}, {"high_res": None}], ids=["cam", "high_res"])
@pytest.mark.parametrize("as_none", [True, False])
def test_missing_maps_are_interpolated(left_out, as_none, rng, tmp_path):
    content = irn(rng)
    partial = content | left_out if as_none else {name: content[name] for name in content if name not in left_out}
    found = read_external_cams(save(tmp_path / "a.npy", partial), SIZE, (3, 7), NUM_CLASSES)
    given = content["high_res" if "cam" in left_out else "cam"]
    for array, size in zip(found, (grid_size(*SIZE), SIZE), strict=True):
        np.testing.assert_allclose(array, slow_bilinear(given, size), atol=1e-6)


def test_maps_on_another_grid_are_resized_to_both_sizes(rng, tmp_path):
    given = rng.random((1, 2, 3)).astype(np.float32)
    save(tmp_path / "a.npy", {"keys": [3], "cam": given})
    for array, size in zip(
        read_external_cams(tmp_path / "a.npy", SIZE, (3,), NUM_CLASSES), ((3, 4), SIZE), strict=True
    ):
        np.testing.assert_allclose(array, slow_bilinear(given, size), atol=1e-6)


def test_maps_have_the_full_size_where_a_smaller_copy_is_processed(rng, tmp_path):
    content, small = irn(rng), (5, 7)
    path = save(tmp_path / "a.npy", content)
    cam, full = read_external_cams(path, small, (3, 7), NUM_CLASSES, SIZE)
    np.testing.assert_allclose(cam, slow_bilinear(content["cam"], grid_size(*small)), atol=1e-6)
    np.testing.assert_allclose(full, slow_bilinear(content["high_res"], small), atol=1e-6)
    with pytest.raises(ValueError, match="of shape 2×10×14 where its keys and the image ask for 2×5×7"):
        read_external_cams(path, small, (3, 7), NUM_CLASSES)


def test_rounding_is_clipped_and_zeros_stay(tmp_path):
    maps = np.zeros((2, *SIZE))
    maps[0, 0, :2] = -0.0009, 1.0009
    _, full = read_external_cams(
        save(tmp_path / "a.npy", {"keys": [3, 7], "high_res": maps}), SIZE, (3, 7), NUM_CLASSES
    )
    assert full.sum() == 1 and full.min() == 0


def test_maps_of_other_classes_are_not_checked(tmp_path):
    maps = np.full((2, *SIZE), 0.5)
    maps[0] = np.nan
    path = save(tmp_path / "a.npy", {"keys": [3, 7], "high_res": maps})
    assert (read_external_cams(path, SIZE, (7,), NUM_CLASSES)[1] == 0.5).all()


def test_files_are_a_source_of_external_cams(rng, tmp_path):
    """The data set's class 1 is the files' number 7, its class 2 their 3."""
    content = irn(rng)
    path = str(save(tmp_path / "a.npy", content))
    numbering = [f"class {k}" for k in range(NUM_CLASSES)]
    cams_of = open_external_cams({"names": ["class 7", "class 3"], "numbering": numbering}, None, None)
    for image_size, full_size in ((SIZE, None), ((5, 7), SIZE)):
        found = cams_of(CamInput(np.zeros((*image_size, 3), np.uint8), (1, 2), path, full_size))
        expected = read_external_cams(path, image_size, [7, 3], NUM_CLASSES, full_size)
        for maps, same in zip(found, expected, strict=True):
            assert maps.dtype == np.float32
            np.testing.assert_array_equal(maps, same)


CONTENTS = {
    "no dict": ([1], "holds no dict"),
    "neither style": ({"cam": HALF}, "neither keys .* nor class numbers"),
    "empty": ({}, "neither keys .* nor class numbers"),
    "tuple keys": ({(1, 2): HALF}, "neither numbers nor names"),
    "no maps": ({"keys": [3]}, "neither cam nor high_res"),
    "float keys": ({"keys": np.array([3.0]), "high_res": HALF}, "no list of integers"),
    "keys [1, 1]": ({"keys": np.array([[3]]), "high_res": HALF}, "no list of integers"),
    "text keys": ({"keys": ["3"], "high_res": HALF}, "no list of integers"),
    "more keys": ({"keys": [3, 7], "high_res": HALF}, "high_res of shape 1×10×14 where .* ask for 2×10×14"),
    "more coarse keys": ({"keys": [3, 7], "cam": HALF}, "cam of shape 1×10×14 where .* ask for 2×any×any"),
    "turned": ({"keys": [3], "high_res": HALF.swapaxes(1, 2)}, "shape 1×14×10 where .* ask for 1×10×14"),
    "turned PSA": ({3: HALF[0].T}, "a map of class 3 of shape 14×10 where .* ask for 10×14"),
    "no axis": ({"keys": [3], "cam": HALF[0]}, "cam of shape 10×14"),
    "unknown": ({"keys": [20], "high_res": HALF}, "unknown class 20; known are 0 to 19"),
    "negative": ({-1: HALF[0]}, "unknown class -1"),
    "another": ({"keys": [4], "high_res": HALF}, "lacks class 3, which the image has"),
    "twice": ({"keys": [3, 3], "high_res": HALF.repeat(2, 0)}, "lists a class twice"),
    "NaN": ({"keys": [3], "high_res": HALF * np.nan}, "high_res that is not finite"),
    "overflow": ({"keys": [3], "high_res": HALF * 1e300}, "high_res that is not finite"),
    "too high": ({"keys": [3], "high_res": HALF * 5}, "high_res from 2.5 to 2.5, outside of 0 to 1"),
    "too low": ({3: torch.tensor(HALF[0] - 0.75)}, "from -0.25 to -0.25, outside"),
    "objects": ({"keys": [3], "cam": HALF.astype(object)}, "elements are no numbers"),
    "complex": ({"keys": [3], "cam": HALF + 1j}, "elements are no numbers"),
    "numbers as maps": ({3: 0.5}, "something else in its place"),
    "sparse": ({3: torch.zeros(SIZE).to_sparse()}, "holds torch._utils._rebuild_sparse_tensor, and only arrays"),
    "vast": ({3: torch.zeros(1).expand(10**6, 10**6)}, "its shape does not fit its data"),
}


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("case", CONTENTS)
def test_wrong_contents_are_named(case, protocol, tmp_path):
    content, match = CONTENTS[case]
    assert_refused(save(tmp_path / "a.npy", content, protocol), match)


def test_broken_files_are_named(rng, tmp_path):
    path = tmp_path / "a.npy"
    assert_refused(path, "does not exist$")
    assert_refused(tmp_path, "does not exist$")
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "does not exist$")
    np.save(path, np.zeros((2, 3)))
    assert_refused(path, "a plain array without class numbers")
    np.save(path, np.array([{}, {}]))
    assert_refused(path, "a plain array")
    data = save(path, irn(rng)).read_bytes()
    for end in (0, 3, 7, 9, 30, len(header()), len(header()) + 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        assert_refused(path, "not a .npy file, or a broken one|damaged pickle")
    for text in ("(" * 9000, "-" * 9000, "1+" * 4900 + "1", "{'descr': '|O'}", "open('x')"):
        path.write_bytes(header(text))
        assert_refused(path, "not a .npy file, or a broken one")
    with open(path, "wb") as stream:
        stream.truncate(2**31 + 1)
    assert_refused(path, "takes over 2 GiB")
