"""The values that become black and white in images of 16 bits: the same for all of a data set, so that they compare."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from wsgcn.data.sizes import file_fingerprint
from wsgcn.depth import full_white, open_image, read_deep
from wsgcn.files import UNREADABLE, load_cache, write_cache
from wsgcn.text import format_examples

MIN_WHITE_SHARE, MAX_BLACK_SHARE = 0.75, 0.05
"""Images whose white and black lie beyond these shares of what their bits can hold are exposed for all of them."""

MAX_FACTOR = 4
"""Images whose white differs from the others' by more than this factor are reported."""


def grey_levels(
    paths: Sequence[str], percentiles: Sequence[float], cache_file: str | Path, threads: int = 1
) -> dict[str, tuple[int, int]]:
    """Two percentiles of the values of each image of 16 bits, all channels together, by path.

    They are cached in `cache_file`, so that only new and changed images are read. An image that cannot be read has
    none; `wsgcn.workflow.check` reports it.
    """
    cached = load_cache(cache_file)
    marks = {path: [*file_fingerprint(path), *percentiles] for path in paths}
    changed = {path: None for path in paths if cached.get(path, [])[:4] != marks[path]}
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda path: _levels_of(path, percentiles), changed)
        entries = {path: cached[path] for path in paths if path not in changed}
        entries |= {path: [*marks[path], *own] for path, own in zip(changed, found, strict=True) if own}
    if entries != cached:
        write_cache(cache_file, entries)
    return {path: (entry[4], entry[5]) for path, entry in entries.items()}


def _levels_of(path: str, percentiles: Sequence[float]) -> list[int] | None:
    try:
        with open_image(path) as image:
            pixels = read_deep(path, image)
    except UNREADABLE:
        return None
    return [int(value) for value in np.percentile(pixels, percentiles).round()]


def common_range(levels: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The black and white of a data set: no image is clipped beyond its own percentiles, but for far brighter ones.

    One image of another exposure must not make all others black. Images that are exposed for 10, 12 or another number
    of bits keep that exposure, 0 to 1023 or 4095.
    """
    lows, highs = zip(*levels, strict=True)
    black, white = min(lows), max(high for high in highs if high <= MAX_FACTOR * np.median(highs))
    full = full_white(white)
    return (0, full) if white >= MIN_WHITE_SHARE * full and black <= MAX_BLACK_SHARE * full else (black, white)


def describe_range(levels: Mapping[str, tuple[int, int]], num_images: int) -> list[str]:
    """Which range the images of 16 bits are scaled from, and which of them are exposed otherwise, a sentence each."""
    black, white = common_range(levels.values())
    usual = float(np.median([high for _, high in levels.values()]))
    odd = [path for path, (_, high) in levels.items() if not usual / MAX_FACTOR <= high <= usual * MAX_FACTOR]
    sentences = [f"{len(levels)} of {num_images} images hold 16 bits: their values {black} to {white} become 0 to 255"]
    if odd:
        reached = f"up to {levels[odd[0]][1]}, where others reach about {usual:.0f}"
        sentences.append(f"{format_examples(odd)}: of another exposure, {reached}, so mostly white or black")
    return sentences
