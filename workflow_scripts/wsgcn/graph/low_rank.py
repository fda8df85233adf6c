"""The smooth part of a long random walk as a matrix of low rank, from its products with a few rows.

Boundaries hold the walk at thousands of single nodes, so that the walk Sᵗ itself is not of low rank. But once a held
part H is taken out (`held`), the rest E = Sᵗ - H is: it spreads over many nodes, and so tells few of them apart.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from wsgcn.graph.walk import walk_polynomial, walk_rows

RESIDUAL_TOLERANCE = 2e-3
"""Largest error of a low-rank form on random vectors, relative to these vectors (both as Euclidean norms)."""

HOPELESS_RESIDUAL = 16 * RESIDUAL_TOLERANCE
"""An error from which on more rank is not tried."""

NUM_PROBES = 4
"""Random vectors that measure the error of a low-rank form."""

RANK_STEP = 96
"""A low-rank form is made from at least this many rows, and retried with this many more."""

RANDOM_ROWS = 32
"""Random rows beside those that the form is fitted to, at least."""

MAX_ROWS = 600
"""Most rows that a low-rank form is made from."""

RANKS_PER_ROW = 2 / 3, 1 / 4
"""Ranks that are tried, per row: the nearer to one, the more the least-squares fit amplifies what the rank leaves out.
That is much where the held part dropped small entries everywhere."""

SPECTRUM_CUTOFF = 1e-10
"""Squared singular values of the rows' images below this are noise, relative to the largest."""

EIGENVALUE_CUTOFF = 0.25
"""Eigenvalues of a low-rank form below this share of the tolerance are dropped; those of the walk are at most 1."""


@dataclass(frozen=True)
class LowRank:
    """The matrix Uᵗ diag(values) U. basis U: [R, N]; values: [R]."""

    basis: np.ndarray
    values: np.ndarray

    def __str__(self) -> str:
        return f"rank {len(self.values)}"


class WalkedRows:
    """Rows X and their walks X Sᵗ, which all attempts on one walk share: `rows` [K, N], then random ones of their size.

    `sources`, `walked`: X and X Sᵗ, [R, N]; `probes`, `walked_probes`: further random rows, to measure an error with.
    """

    def __init__(self, step: scipy.sparse.sparray, steps: int, rows: np.ndarray):
        self._rng, self._polynomial = np.random.default_rng(0), walk_polynomial(step, steps, 1e-4)
        self._scale = float(np.linalg.norm(rows)) / rows.size**0.5 or 1
        self._shape, self._dtype = step.shape, step.dtype
        num_random = max(RANDOM_ROWS, RANK_STEP - len(rows))
        inputs = np.concatenate([rows, self._random(num_random + NUM_PROBES)])
        walked = walk_rows(self._polynomial, inputs)
        (self.sources, self.probes), (self.walked, self.walked_probes) = (
            np.split(block, [-NUM_PROBES]) for block in (inputs, walked)
        )

    def _random(self, count: int) -> np.ndarray:
        return (self._scale * self._rng.standard_normal((count, self._shape[0]), np.float32)).astype(self._dtype)

    def extend(self) -> None:
        """Walk `RANK_STEP` more random rows."""
        extra = self._random(RANK_STEP)
        self.sources = np.concatenate([self.sources, extra])
        self.walked = np.concatenate([self.walked, walk_rows(self._polynomial, extra)])


def low_rank_rest(
    samples: WalkedRows, held: Callable[[np.ndarray], np.ndarray], tolerance: float = RESIDUAL_TOLERANCE
) -> LowRank | None:
    """Sᵗ - H, fitted to the rows of `samples`; None where the rank needed would be too high. held: X H of rows X.

    The rows may be extended on the way. The error on random vectors is at most `tolerance` of their norm.
    """
    cutoff, norm = EIGENVALUE_CUTOFF * tolerance, np.linalg.norm(samples.probes)
    probe_images = samples.walked_probes - held(samples.probes)
    if np.linalg.norm(probe_images) <= cutoff * norm:
        return LowRank(samples.sources[:0], samples.sources[:0, 0])
    images = samples.walked - held(samples.sources)
    while True:
        for share in RANKS_PER_ROW:
            low_rank = symmetric_fit(samples.sources, images, max(1, int(share * len(images))), cutoff)
            residual = probe_images - (samples.probes @ low_rank.basis.T * low_rank.values) @ low_rank.basis
            error = np.linalg.norm(residual) / norm
            if error <= tolerance:
                return low_rank
        if error > HOPELESS_RESIDUAL or len(samples.sources) + RANK_STEP > min(MAX_ROWS, samples.sources.shape[1]):
            return None
        samples.extend()
        images = np.concatenate([images, samples.walked[-RANK_STEP:] - held(samples.sources[-RANK_STEP:])])


def symmetric_fit(rows: np.ndarray, images: np.ndarray, rank: int, cutoff: float) -> LowRank:
    """A symmetric matrix E [N, N] of low rank from rows X [R, N] and their images Y = X E.

    E = Qᵗ C Q: Q the leading right singular vectors of Y, as many as the rank; C the symmetric part of the
    least-squares solution of (X Qᵗ) C = Y Qᵗ (the fixed-rank sketch of Tropp et al., SIAM J. Matrix Anal. 2017). E may
    have eigenvalues of either sign, where Nyström's formula has no bound. Those below the cutoff are dropped.
    """
    images64 = images.astype(np.float64)
    squares, vectors = np.linalg.eigh(images64 @ images64.T)
    squares, vectors = squares[-rank:], vectors[:, -rank:]
    keep_mask = squares > SPECTRUM_CUTOFF * squares[-1]
    basis = (vectors[:, keep_mask] / np.sqrt(squares[keep_mask])).T @ images64
    core = np.linalg.lstsq(rows @ basis.T, images64 @ basis.T, rcond=None)[0]
    values, rotation = np.linalg.eigh((core + core.T) / 2)
    keep_mask = np.abs(values) > cutoff
    basis = (rotation[:, keep_mask].T @ basis).astype(images.dtype)
    return LowRank(basis, values[keep_mask].astype(images.dtype))
