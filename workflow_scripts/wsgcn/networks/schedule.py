"""How many steps a training has."""

MIN_USEFUL_STEPS = 50
"""Steps below which a network has hardly learnt anything."""


def num_steps(count: int, epochs: float, batch: int) -> int:
    """Steps of `batch` samples in so many epochs over `count` images, at least one."""
    return max(1, int(count * epochs) // batch)
