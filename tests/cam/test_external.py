"""External CAMs: their arrays are read as they were saved, and nothing in a file is ever executed."""

import copyreg
import io
import os
import pickle
import struct
import time

import numpy as np
import pytest
import torch

from wsgcn.cam.contract import CamInput
from wsgcn.cam.external import open_external_cams, read_external_cams
from wsgcn.graph.grid import grid_size

SIZE = (10, 14)
NUM_CLASSES = 20
HALF = np.full((1, *SIZE), 0.5)


def header(text=None, version=(1, 0)):
    text = text or "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(text)) + text.encode()


def zero_dimensional(value):
    array = np.empty((), object)
    array[()] = value
    return array


def save(path, value, protocol=4):
    path.write_bytes(header() + pickle.dumps(zero_dimensional(value), protocol))
    return path


def irn(rng, classes=(3, 7), size=SIZE, convert=np.asarray):
    """An IRN-style dict; convert: from the arrays to what a method saves."""
    cam, full = (rng.random((len(classes), *s)).astype(np.float32) for s in (grid_size(*size), size))
    return {"keys": np.array(classes), "cam": convert(cam), "high_res": convert(full)}


def slow_bilinear(array, size):
    """Bilinear interpolation, pixel centres aligned at half a pixel, edges clamped, one output pixel at a time."""
    out = np.zeros((len(array), *size))
    (h, w), (height, width) = array.shape[1:], size
    for y in range(height):
        for x in range(width):
            v = max((y + 0.5) * h / height - 0.5, 0)
            u = max((x + 0.5) * w / width - 0.5, 0)
            top, left = int(v), int(u)
            for i, a in ((top, 1 - v + top), (min(top + 1, h - 1), v - top)):
                for j, b in ((left, 1 - u + left), (min(left + 1, w - 1), u - left)):
                    out[:, y, x] += a * b * array[:, i, j]
    return out


def assert_refused(path, match):
    with pytest.raises(ValueError, match=match) as caught:
        read_external_cams(path, SIZE, (3,), NUM_CLASSES)
    assert str(caught.value).startswith(f"CAM file {path}: ") and "\n" not in str(caught.value)


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


class Call:
    """Pickles as a call of anything."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce_ex__(self, _):
        return self.reduced


def names(module, attribute):
    """A protocol 4 pickle that looks an attribute up and calls it with ("id",)."""
    text = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute))
    return b"\x80\x04" + text + b"\x93\x8c\x02id\x85R."


def attacks(marker):
    """Pickles, each of which would write `marker`, hang or fill the memory, and the part of the error that names it."""
    run = Call(os.system, (f"touch {marker}",))
    rebuild, load = torch._utils._rebuild_tensor_v2, torch.storage._load_from_bytes
    for protocol in (2, 3, 4, 5):
        for value in (run, {"keys": run}, {3: [[run]]}, {3: zero_dimensional(run)}, {"keys": [3], "cam": (run,)}):
            yield pickle.dumps(zero_dimensional(value), protocol), r"posix\.system"
        evaluate = Call(eval, (f"open({str(marker)!r}, 'w')",))
        yield pickle.dumps(zero_dimensional({3: evaluate}), protocol), r"builtin.*\.eval"
        for inner in (pickle.dumps(run, protocol), pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(run)):
            tensor = Call(rebuild, (Call(load, (inner,)), 0, SIZE, (14, 1), False, {}))
            yield pickle.dumps(zero_dimensional({3: tensor}), protocol), r"posix\.system"
        stream = io.BytesIO()
        torch.save(run, stream)
        tensor = Call(rebuild, (Call(load, (stream.getvalue(),)), 0, SIZE, (14, 1), False, {}))
        yield pickle.dumps(zero_dimensional({3: tensor}), protocol), "cannot be read"
        yield pickle.dumps(zero_dimensional({3: Call(copyreg._reconstructor, (dict, dict, {}))}), protocol), "copy_?reg"
    yield names("numpy._core.multiarray", "os"), r"numpy\._core\.multiarray\.os"
    yield names("numpy._core.multiarray", "_reconstruct.__globals__"), "__globals__"
    yield names("numpy", "ndarray.__class__.__subclasses__"), "__subclasses__"
    yield names("numpy._core.multiarray _reconstruct", ""), "_reconstruct"
    yield b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.", r"posix\.system"
    yield b"(S'touch " + str(marker).encode() + b"'\nios\nsystem\n.", "operation STRING"
    yield b"\x80\x02Pid\n.", "operation PERSID"
    yield b"\x80\x02K\x01Q.", "operation BINPERSID"
    yield b"\x80\x02\x82\x01.", "operation EXT1"
    yield b"\x80\x02cnumpy\nndarray\n)\x81.", "operation NEWOBJ"
    yield b"\x80\x02}}b.", "operation BUILD"
    yield b"\x80\x02K\x01K\x01R.", "operation REDUCE"
    yield b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"ab", "damaged pickle"
    yield b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"ab", "damaged pickle"
    yield b"\x80\x02Nr\xff\xff\xff\xff.", "holds no dict"  # a memo of 4 billion entries
    yield b"\x80\x02" + b"]" * 200_000 + b".", "over 100000 pickled values"
    yield b"\x80\x02}N" + b"\x85" * 90_000 + b"Ns.", "neither numbers nor names"  # deep, and ...
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    yield b"\x80\x02}N" + doubled + b"Ns.", "neither numbers nor names"  # ... wide: a hash of 2^60 steps
    for shape in ((10**6, 10**6), (2**62, 4), (2**64, 0), (-1, -140), 140):  # arrays of 140 bytes
        view = Call(np._core.numeric._frombuffer, (bytearray(140), np.dtype("u1"), shape, "C"))
        yield pickle.dumps(zero_dimensional({3: view}), 5), "cannot be read: its shape"
    beyond = ((1, (2, 70), (70, 1)), (0, (2, 70), (71, 1)), (-1, (1, 1), (1, 1)), (0, (1,), (-1,)))
    for view in beyond:
        tensor = Call(rebuild, (torch.zeros(140).storage(), *view, False, {}))
        yield pickle.dumps(zero_dimensional({3: tensor}), 4), "cannot be read: its shape"


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_nothing_is_executed(tmp_path):
    marker, path = tmp_path / "executed", tmp_path / "a.npy"
    for pickled, match in attacks(marker):
        path.write_bytes(header() + pickled)
        start = time.monotonic()
        assert_refused(path, match)
        assert time.monotonic() - start < 5
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(header() + next(attacks(marker))[0])
    np.load(path, allow_pickle=True)
    assert marker.exists()  # the attack is real


@pytest.mark.filterwarnings("ignore")
def test_broken_bytes_end_in_maps_or_a_value_error(rng, tmp_path):
    path, outcomes = tmp_path / "a.npy", {"read": 0, "refused": 0}
    size = (3, 5)
    psa = {3: rng.random(size), np.int8(4): np.zeros(size)}
    contents = [irn(rng, (3,), size), irn(rng, (3,), size, torch.tensor), psa]
    files = [save(path, content, protocol).read_bytes() for content in contents for protocol in (2, 3, 4, 5)]
    for turn in range(2000):
        data = bytearray(files[turn % len(files)])
        for _ in range(rng.integers(1, 4)):
            a, b = sorted(rng.integers(6, len(data), 2))
            match rng.integers(5):
                case 0:
                    data[a] = rng.integers(256)
                case 1:
                    data[a] ^= 1 << rng.integers(8)
                case 2:
                    del data[a : a + rng.integers(1, 9)]
                case 3:
                    data[a:a] = data[b : b + rng.integers(1, 30)]
                case 4:
                    data[a : a + 4] = rng.bytes(4)
        path.write_bytes(data)
        try:
            cam, full = read_external_cams(path, size, (3,), NUM_CLASSES)
        except ValueError as error:
            assert str(error).startswith(f"CAM file {path}: ")
            outcomes["refused"] += 1
        else:
            assert cam.shape == (1, 1, 2) and full.shape == (1, *size) and cam.dtype == full.dtype == np.float32
            assert 0 <= min(cam.min(), full.min()) and max(cam.max(), full.max()) <= 1
            outcomes["read"] += 1
    assert min(outcomes.values()) > 20
    assert list(tmp_path.iterdir()) == [path]
