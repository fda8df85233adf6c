"""The number of steps of a training, without torch: it is also needed while the workflow is planned."""

MIN_USEFUL_STEPS = 50
"""With fewer steps a network has hardly been trained."""


def num_steps(count: int, epochs: float, batch: int) -> int:
    """Steps of `batch` samples each in `epochs` epochs over `count` images, at least one."""
    return max(1, int(count * epochs) // batch)
