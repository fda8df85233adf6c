"""Four numbers at once must round as single ones do.

Run alone: `.venv/bin/python -m pytest tests/labels/test_lanes.py`.
"""

import numba
import numpy as np
import pytest

from wsgcn.labels.lanes import add_half, broadcast, divide, exponential, load, pack, store, unpack

FOUR = np.uint64(4)


def each(operation):
    """A function of two float32 arrays whose lengths are multiples of four."""

    @numba.njit
    def apply(a, b):
        result = np.empty_like(a)
        for i in range(np.uint64(0), np.uint64(len(a)), FOUR):
            store(result, i, operation(load(a, i), load(b, i)))
        return result

    return apply


@pytest.fixture
def numbers(rng):
    """Two float32 [400] over many magnitudes, and of both signs."""
    return tuple((rng.normal(size=400) * 10.0 ** rng.integers(-20, 20, 400)).astype(np.float32) for _ in range(2))


OPERATIONS = {
    "add": (numba.njit(lambda a, b: a + b), lambda a, b: a + b),
    "subtract": (numba.njit(lambda a, b: a - b), lambda a, b: a - b),
    "multiply": (numba.njit(lambda a, b: a * b), lambda a, b: a * b),
    "divide": (divide, lambda a, b: a / b),
    "add half": (add_half, lambda a, b: (a.astype(float) + b.astype(float) / 2).astype(np.float32)),
    "multiply and add": (numba.njit(lambda a, b: a + a * b), lambda a, b: a + (a * b)),  # rounded twice
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_round_as_numpy_does(name, numbers):
    ours, expected = OPERATIONS[name]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(each(ours)(*numbers), expected(*numbers))


def test_half_of_the_smallest_numbers_is_not_lost():
    tiny = np.full(4, np.float32(1e-45))
    np.testing.assert_array_equal(each(add_half)(tiny, tiny), tiny * 2)  # 1.5 of the smallest number round to 2


def test_lanes_are_unpacked_in_the_order_in_which_they_were_packed():
    @numba.njit
    def turned(a):
        p, q, r, s = unpack(load(a, np.uint64(1)))
        store(a, np.uint64(1), pack(s, r, q, p) + broadcast(np.float32(1)))
        return a

    np.testing.assert_array_equal(turned(np.arange(6, dtype=np.float32)), [0, 5, 4, 3, 2, 5])


def test_exponential_is_within_two_units_of_the_last_place():
    x = np.concatenate([np.linspace(-87, 0, 200_000), [0, -0.0, -1e-30, -1e-8]]).astype(np.float32)
    found = each(numba.njit(lambda a, b: exponential(a)))(x, x)
    expected = np.exp(x.astype(float))
    assert (abs(found - expected) <= 2 * np.spacing(expected.astype(np.float32))).all()
    assert found[-4:].tolist() == [1, 1, 1, 1]


def test_exponential_of_very_negative_numbers_is_zero():
    x = np.array([-89, -1000, -3e38, -np.inf], np.float32)
    assert each(numba.njit(lambda a, b: exponential(a)))(x, x).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("array", [np.zeros(8), np.zeros((2, 4), np.float32), np.zeros(8, np.float32)[::2]], ids=str)
def test_other_arrays_than_flat_float32_are_refused(array):
    with pytest.raises(numba.errors.TypingError):
        numba.njit(lambda a: unpack(load(a, np.uint64(0))))(array)
