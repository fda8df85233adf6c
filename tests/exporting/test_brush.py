"""Label Studio's run-length code of brush masks.

Run alone: `.venv/bin/python -m pytest tests/exporting/test_brush.py`.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from labels import hard_labels

from wsgcn.exporting.brush import decode_brush, encode_brush
from wsgcn.exporting.objects import count_runs

MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def encode(mask):
    return encode_brush(count_runs((slice(0, mask.shape[0]), slice(0, mask.shape[1])), mask, mask.shape))


def decode_slowly(code):
    """All values, by the format's description alone, a bit at a time."""
    bits = [int(bit) for byte in code for bit in f"{byte:08b}"]

    def take(count):
        taken, bits[:] = bits[:count], bits[count:]
        return sum(bit << (count - 1 - k) for k, bit in enumerate(taken))

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    out = []
    while len(out) < total:
        repeated = take(1)
        count = 1 + take(sizes[take(2)])
        out += [take(word)] * count if repeated else [take(word) for _ in range(count)]
    return out


@given(mask=MASKS)
@settings(deadline=None)
def test_a_mask_comes_back(mask):
    code = encode(mask)
    assert decode_slowly(code) == np.repeat(255 * mask.ravel(), 4).tolist()
    np.testing.assert_array_equal(decode_brush(code, *mask.shape), mask)


def test_runs_longer_than_a_length_holds():
    mask = np.zeros((300, 300), bool)
    mask[100:] = True
    np.testing.assert_array_equal(decode_brush(encode(mask), 300, 300), mask)


def test_values_that_are_not_repeated_and_half_covered_pixels():
    """As a browser's canvas codes a soft edge: RGB, and alpha from 0 to 255."""
    pixels = [(255, 0, 0, 0), (255, 0, 0, 127), (255, 0, 0, 128), (255, 0, 0, 255)]
    values = [value for pixel in pixels for value in pixel]
    bits = f"{16:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}" + f"0{1:02b}{15:04b}"
    bits += "".join(f"{value:08b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    code = [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]
    assert decode_slowly(code) == values
    assert decode_brush(code, 2, 2).tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("code", [[], [0, 0], encode(np.ones((4, 4), bool)), "text", [300] * 20])
def test_broken_codes_are_refused(code):
    with pytest.raises(ValueError, match="not that of 6×5 pixels"):
        decode_brush(code, 5, 6)


def test_label_studio_s_own_reader():
    converter = pytest.importorskip("label_studio_sdk.converter.brush")
    for name, label in hard_labels().items():
        for value in range(1, 4):
            mask = label == value
            values = converter.decode_rle(encode(mask)).reshape(*mask.shape, 4)
            assert (values[..., 3] == 255 * mask).all(), name
            code = converter.mask2rle((255 * mask).astype(np.uint8))
            np.testing.assert_array_equal(decode_brush(code, *mask.shape), mask)
