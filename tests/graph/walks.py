"""What the tests of long walks share: one step over a boundary map, and its dense powers."""

import numpy as np

from wsgcn.affinity.matrices import affinity_matrix
from wsgcn.graph.stencil import scale_rows_and_columns


def symmetric_step(boundary, radius=5):
    """D^-1/2 A D^-1/2 of the affinities over a boundary map [h, w]."""
    affinity = affinity_matrix(np.asarray(boundary, np.float32), radius, 10)
    root = affinity.sum(axis=1) ** -0.5
    return scale_rows_and_columns(affinity, root, root)


def matrix_power(step, steps):
    return np.linalg.matrix_power(step.toarray().astype(np.float64), steps)
