"""Properties of files, for any label, array and name."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from strategies import IDS

from wsgcn.data.names import id_problem
from wsgcn.files import read_arrays, read_label, write_arrays, write_label

SIDES = st.tuples(st.integers(1, 30), st.integers(1, 30))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


@given(arrays.arrays(np.uint8, SIDES))
def test_any_label_is_read_as_written(folder, label):
    write_label(folder / "label.png", label)
    found = read_label(folder / "label.png")
    assert found.dtype == np.uint8 and np.array_equal(found, label)


FINITE = (arrays.floating_dtypes() | arrays.integer_dtypes()).flatmap(
    lambda dtype: arrays.arrays(dtype, SIDES, elements=arrays.from_dtype(dtype, allow_nan=False, allow_infinity=False))
)


@given(FINITE, IDS)
def test_any_array_is_read_as_written_under_any_name(folder, array, name):
    path = folder / f"{name}.npz"
    write_arrays(path, values=array)
    np.testing.assert_array_equal(read_arrays(path)["values"], array, strict=True)
    assert path.resolve().parent == folder.resolve()
    path.unlink()


@given(st.text(min_size=1, max_size=300))
def test_an_accepted_name_stays_in_its_folder(folder, name):
    assume(not id_problem(name))
    path = folder / f".12345-{name}.npz"
    path.write_bytes(b"")  # the longest name that the workflow makes of it
    assert path.parent == folder and not set(name) & set("/\\{}*?\0\n")
    path.unlink()
