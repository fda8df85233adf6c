"""The graph's grid: pairs of points within a radius, the line between them, and the maximum of a map along it.

Source: IRNet (Ahn et al., CVPR 2019), section 4.1, and its released code: how far apart two points may be, and which
grid points are on the line between them.
"""

from functools import cache

import torch

STRIDE = 4
"""Side of a node [pixels]: the grid has one node per 4×4 pixels."""


def grid_size(height: int, width: int) -> tuple[int, int]:
    """The grid's (h, w) over an image [pixels]: ceil(H/4), ceil(W/4)."""
    return -(-height // STRIDE), -(-width // STRIDE)


@cache
def neighbour_offsets(radius: int) -> tuple[tuple[int, int], ...]:
    """Half of the grid offsets (dy, dx) shorter than `radius`: those to the right or below, one of each ± pair."""
    reach = range(-radius + 1, radius)
    return tuple(
        (dy, dx) for dy in range(radius) for dx in reach if (dy > 0 or dx > 0) and dy * dy + dx * dx < radius**2
    )


@cache
def line_points(dy: int, dx: int) -> tuple[tuple[int, int], ...]:
    """Grid points on the line from (0, 0) to (dy, dx): in its bounding box, less than 1 away from it, ends included."""
    length = dy * dy + dx * dx
    return tuple(
        (y, x)
        for y in range(min(0, dy), max(0, dy) + 1)
        for x in range(min(0, dx), max(0, dx) + 1)
        if (dy * x - dx * y) ** 2 < length
    )


def origin_slices(h: int, w: int, dy: int, dx: int) -> tuple[slice, slice]:
    """Rows and columns of the grid points whose partner at offset (dy, dx) is in the grid too."""
    return slice(max(0, -dy), h - max(0, dy)), slice(max(0, -dx), w - max(0, dx))


def pair_slices(h: int, w: int, dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Rows and columns of the points of `origin_slices`, and those of their partners."""
    rows, columns = origin_slices(h, w, dy, dx)
    partners = slice(rows.start + dy, rows.stop + dy), slice(columns.start + dx, columns.stop + dx)
    return (rows, columns), partners


def path_maximum(boundary: torch.Tensor, dy: int, dx: int) -> torch.Tensor:
    """Max of `boundary` [..., h, w] along the line from each point to its partner, at the points of `origin_slices`.

    Returns [..., h - |dy|, w - |dx|], empty where no pair fits. The gradient goes to one maximal point of each path.
    """
    h, w = boundary.shape[-2:]
    if h <= abs(dy) or w <= abs(dx):
        return boundary[..., :0, :0]
    rows, columns = origin_slices(h, w, dy, dx)
    shifted = [
        boundary[..., rows.start + y : rows.stop + y, columns.start + x : columns.stop + x]
        for y, x in line_points(dy, dx)
    ]
    if not boundary.requires_grad:
        return torch.stack(shifted).amax(0)
    with torch.no_grad():  # find the index first, so that autograd keeps one index per pair and not the whole path
        value, point_index = torch.stack(shifted).max(0)
        offsets = torch.tensor([y * w + x for y, x in line_points(dy, dx)], device=boundary.device)
        grid = torch.arange(h * w, device=boundary.device).view(h, w)[rows, columns]
        node_index = (grid + offsets[point_index]).flatten(-2)
    return boundary.flatten(-2).gather(-1, node_index).view(value.shape)
