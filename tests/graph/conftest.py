import pytest
from walks import symmetric_step


@pytest.fixture
def step(rng):
    """A step on a grid of 16 × 18: two rooms, single near-absorbing nodes, an isolated pair of nodes."""
    boundary = 0.2 * rng.random((16, 18))
    boundary[:, 9] = 0.8
    boundary[rng.random((16, 18)) < 0.15] = 0.9
    boundary[2:5, 2:6] = 0.95
    boundary[3, 3:5] = 0
    return symmetric_step(boundary)
