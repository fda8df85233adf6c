"""The number of steps of a training, without torch: it is also needed while the workflow is planned."""

MIN_USEFUL_STEPS = 50
"""With fewer steps a network has hardly been trained."""


def num_steps(count: int, epochs: float, batch: int, min_steps: int = 0) -> int:
    """Steps of `batch` samples each in `epochs` epochs over `count` images, at least `min_steps`, at least one.

    The papers count epochs, over thousands of images; a network needs its steps whatever the number of images.
    """
    return max(1, min_steps, int(count * epochs) // batch)
