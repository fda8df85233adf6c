"""The operator Â of a graph, and the operators of one or several graphs applied together on a device."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from wsgcn.graph.products import Term, pad_and_stack, term_product


@dataclass(frozen=True)
class Graph:
    """Â = diag(left) · (the sum of `terms`) · diag(right) + diag(identity), the terms symmetric [N, N].

    left, right, identity: [N]. `Propagation` applies it.
    """

    terms: tuple[Term, ...]
    left: np.ndarray
    right: np.ndarray
    identity: np.ndarray

    def __str__(self) -> str:
        return f"{len(self.left)} nodes, " + " + ".join(map(str, self.terms))


class Propagation:
    """Â of B graphs whose terms are of the same types, for blocks of rows X [B, K, N].

    N is the number of nodes of the largest graph. At the further nodes of a smaller graph Â X is zero, whatever X is.
    """

    def __init__(self, graphs: Sequence[Graph], device: torch.device):
        self._products = [term_product(terms, device) for terms in zip(*(graph.terms for graph in graphs), strict=True)]
        vectors = ([getattr(graph, name)[None] for graph in graphs] for name in ("left", "right", "identity"))
        self._left, self._right, self._identity = (pad_and_stack(vector, device) for vector in vectors)

    def apply(self, block: torch.Tensor) -> torch.Tensor:
        """Â x for each row x of X [B, K, N]."""
        return self._apply(self._left, block, self._right)

    def apply_transpose(self, block: torch.Tensor) -> torch.Tensor:
        """Âᵗ x for each row x."""
        return self._apply(self._right, block, self._left)

    def _apply(self, left: torch.Tensor, block: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        scaled = right * block
        return left * sum(product(scaled) for product in self._products) + self._identity * block
