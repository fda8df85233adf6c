"""The number of steps of a training."""

import pytest

from wsgcn.networks.schedule import num_steps


@pytest.mark.parametrize(
    "count, epochs, batch, expected", [(72, 12, 8, 108), (10, 1, 4, 2), (3, 1, 16, 1), (10, 0.5, 2, 2), (7, 3, 2, 10)]
)
def test_num_steps_by_hand(count, epochs, batch, expected):
    assert num_steps(count, epochs, batch) == expected


@pytest.mark.parametrize("min_steps, expected", [(0, 108), (108, 108), (109, 109), (150, 150)])
def test_a_short_list_gets_the_least_number_of_steps(min_steps, expected):
    assert num_steps(72, 12, 8, min_steps) == expected
