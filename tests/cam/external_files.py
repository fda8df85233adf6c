"""Files of external CAMs as other methods write them, for tests."""

import pickle
import struct

import numpy as np
import pytest

from wsgcn.cam.external import read_external_cams
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
