"""Label Studio's brush masks: RGBA images, run-length encoded by bits.

The format of thi.ng/rle-pack, which Label Studio uses: 32 bits, the number of values; 5 bits, the bits per value less
one; four times 4 bits, the widths of lengths less one; then, until all values are there, 1 bit: whether a value is
repeated; 2 bits: which width the length has; the length less one; and the value once or, where it is not repeated, as
many values. The alpha channel is the mask.
"""

from collections.abc import Sequence

import numpy as np

VALUE_BITS = 8
LENGTH_BITS = (3, 4, 8, 16)
"""Widths of lengths that Label Studio's own converter writes."""

MIN_ALPHA = 128
"""From this alpha on a pixel is of the mask: the brush's edge is smooth."""


def encode_brush(runs: Sequence[int]) -> list[int]:
    """A mask as bytes of the format; all four channels are 255 in it and 0 elsewhere. runs: its lengths, row by row, by
    turns outside and inside (`objects.count_runs`)."""
    parts = [f"{4 * sum(runs):032b}", f"{VALUE_BITS - 1:05b}", *(f"{bits - 1:04b}" for bits in LENGTH_BITS)]
    for index, run in enumerate(runs):
        value, left = f"{255 * (index % 2):0{VALUE_BITS}b}", 4 * run
        while left:
            length = min(left, 2 ** LENGTH_BITS[-1])
            which = next(k for k, bits in enumerate(LENGTH_BITS) if length <= 2**bits)
            parts.append(f"1{which:02b}{length - 1:0{LENGTH_BITS[which]}b}{value}")
            left -= length
    bits = np.frombuffer("".join(parts).encode(), np.uint8) - ord("0")
    return np.packbits(bits).tolist()


def decode_brush(code: Sequence[int], height: int, width: int) -> np.ndarray:
    """The mask, bool [H, W], of bytes in this format. Raises ValueError where they are of another size, or broken."""
    try:
        bits = "".join(map(str, np.unpackbits(np.asarray(code, np.uint8)).tolist()))
        position = 0

        def take(count: int) -> int:
            nonlocal position
            position += count
            if position > len(bits):
                raise ValueError
            return int(bits[position - count : position], 2)

        total, value_bits = take(32), take(5) + 1
        length_bits = [take(4) + 1 for _ in range(4)]
        if total != 4 * height * width:
            raise ValueError
        values, index = np.zeros(total, np.uint32), 0
        while index < total:
            repeated = take(1)
            end = index + 1 + take(length_bits[take(2)])
            values[index:end] = take(value_bits) if repeated else [take(value_bits) for _ in range(end - index)]
            index = end
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"its brush code is not that of {width}×{height} pixels") from None
    return (values.reshape(-1, 4)[:, 3] >= MIN_ALPHA).reshape(height, width)
