"""Class activation maps that other methods wrote, as .npy files of one pickled dict [IRNet's and PSA's released code].

Such a file is untrusted and pickles can run code, so neither pickle nor torch.load ever sees it: its operations are
read one by one into plain values and records of the calls (none is made), and arrays are cut from checked records.
"""

import io
import itertools
import math
import pickletools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from wsgcn.graph.grid import grid_size

MAX_FILE_BYTES = 2**31  # bytes of a file; 20 classes of a 1000×1000 image in float64 take 0.16 GB
MAX_OPERATIONS = 100_000  # of one pickle; the tensors of 80 classes take 4,000
TOLERANCE = 1e-3  # how far rounding may have carried a value out of 0..1: one step of half precision above 1

_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
_STORAGES = {"Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": "<u2"}
_STORAGES |= {"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"}
_STORAGES = {f"torch {kind}Storage": code for kind, code in _STORAGES.items()}
_NAMES = {"numpy ndarray", "numpy dtype", "_codecs encode", "collections OrderedDict"}
_NAMES |= {f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
_NAMES |= {f"numpy.{core}.numeric _frombuffer" for core in ("core", "_core")}
_NAMES |= {"torch._utils _rebuild_tensor_v2", "torch.storage _load_from_bytes", *_STORAGES}

_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_LITERALS |= {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TAKEN = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "SETITEM": 2, "STACK_GLOBAL": 2}
_TAKEN |= {"REDUCE": 2, "BUILD": 1, "BINPERSID": 1, "TUPLE": None, "APPENDS": None, "SETITEMS": None}  # None: to a mark


@dataclass(eq=False)
class _Call:
    """One of _NAMES, or what a pickle says to call it with, and the state to give to the result."""

    name: str
    args: object = None
    state: object = None


def _unpickle(stream: io.BytesIO, persistent: bool = False) -> object:
    """Read one pickle of protocol 2 to 5 as plain values and _Calls; only a tensor's storage may hold persistent ids.

    Raises ValueError on names outside _NAMES and on every operation that dicts, arrays and tensors do not need.
    """
    try:
        operations = list(itertools.islice(pickletools.genops(stream), MAX_OPERATIONS + 1))
    except ValueError as error:
        raise ValueError(f"holds a damaged pickle: {error}") from None
    if len(operations) > MAX_OPERATIONS:
        raise ValueError(f"holds over {MAX_OPERATIONS} pickled values, and class activation maps take few")
    stack, marks, memo = [], [], {}
    try:
        for name, arg in ((operation.name, arg) for operation, arg, _ in operations):
            items = []
            if name in _TAKEN:
                start = marks.pop() if _TAKEN[name] is None else max(len(stack) - _TAKEN[name], 0)
                items = stack[start:]
                del stack[start:]
            if name in _LITERALS:
                stack.append(arg)
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in ("EMPTY_DICT", "EMPTY_LIST"):
                stack.append({} if name == "EMPTY_DICT" else [])
            elif name == "MARK":
                marks.append(len(stack))
            elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
                memo[len(memo) if name == "MEMOIZE" else arg] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[arg])
            elif name in ("EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"):
                stack.append(tuple(items))
            elif name in ("APPEND", "APPENDS") and type(stack[-1]) is list:
                stack[-1].extend(items)
            elif name in ("SETITEM", "SETITEMS") and type(stack[-1]) is dict and len(items) % 2 == 0:
                if any(type(key) not in (int, str, _Call) for key in items[::2]):  # a nested tuple's hash may never end
                    raise ValueError("holds a dict whose keys are neither numbers nor names")
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            elif name in ("GLOBAL", "STACK_GLOBAL"):
                arg = arg or " ".join(part if type(part) is str else "?" for part in items)
                if arg not in _NAMES:
                    shown = ascii(arg[:80].replace(" ", "."))[1:-1]
                    raise ValueError(f"holds {shown}, and only arrays and tensors are read")
                stack.append(_Call(arg))
            elif name == "REDUCE" and type(items[0]) is _Call and items[0].args is None and type(items[1]) is tuple:
                empty = items[0].name == "collections OrderedDict" and not items[1]
                stack.append({} if empty else _Call(items[0].name, items[1]))
            elif name == "BUILD" and type(stack[-1]) is _Call:
                stack[-1].state = items[0]
            elif name == "BINPERSID" and persistent:
                stack.append(_Call("storage", items[0]))
            elif name not in ("PROTO", "FRAME", "STOP"):
                raise ValueError(f"holds the pickle operation {name} where dicts, arrays and tensors have none")
        return stack.pop()
    except (IndexError, KeyError):
        raise ValueError("holds a damaged pickle") from None


def _bytes(value: object) -> bytes | bytearray:
    """Bytes, or the call by which protocol 2 spells them: _codecs.encode(text, "latin1")."""
    value = value.args[0].encode("latin1") if type(value) is _Call else value
    if type(value) not in (bytes, bytearray):
        raise ValueError("its data are no bytes")
    return value


def _counts(values: object, least: int) -> tuple[int, ...]:
    """A shape or strides: a tuple of at most 4 integers from `least`."""
    if type(values) is not tuple or len(values) > 4 or any(type(n) is not int or n < least for n in values):
        raise ValueError("its shape is impossible")
    return values


def _view(data: object, dtype: _Call | str, shape: object, fortran: bool = False) -> np.ndarray:
    """An array over bytes; dtype is a type code or the record of numpy.dtype("f4", ...), state (3, byte order, ...)."""
    if type(dtype) is not str:
        code, order = dtype.args[0], dtype.state[1]
        if dtype.name != "numpy dtype" or code not in _NUMBERS or order not in ("<", ">", "|"):
            raise ValueError("its elements are no numbers")
        dtype = order + code
    data, dtype = _bytes(data), np.dtype(dtype)
    if math.prod(_counts(shape, 1)) * dtype.itemsize != len(data):
        raise ValueError("its shape does not fit its data")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _tensor(storage: _Call, offset: int, shape: tuple, strides: tuple, _: bool, hooks: dict) -> np.ndarray:
    """A tensor's array (bfloat16 as float32); its storage is five pickles, the number of elements, and their bytes."""
    data = _bytes(storage.args[0])
    stream = io.BytesIO(data)
    magic, version, _, stored, _ = (_unpickle(stream, persistent=True) for _ in range(5))
    _, kind, _, _, count, view = stored.args
    if magic != 0x1950A86A20F9469CFC6C or version != 1001 or view is not None or hooks:
        raise ValueError("its format is unknown")
    elements = _view(data[stream.tell() + 8 :], _STORAGES[kind.name], (count,))
    first = sum(_counts((offset,), 0))
    last = first + sum((n - 1) * step for n, step in zip(_counts(shape, 1), _counts(strides, 0), strict=True))
    if last >= count or math.prod(shape) > count:  # strides of 0 would let a small file hold a vast tensor
        raise ValueError("its shape does not fit its data")
    steps = [step * elements.itemsize if n > 1 else 0 for n, step in zip(shape, strides, strict=True)]
    array = np.lib.stride_tricks.as_strided(elements[first:], shape, steps, writeable=False)
    return (array.astype(np.uint32) << 16).view(np.float32) if kind.name == "torch BFloat16Storage" else array


def _array(call: object) -> np.ndarray:
    """The array, number or tensor that a record describes, as it was saved."""
    try:
        name = call.name.split()[-1]
        if name == "_reconstruct":
            _, shape, dtype, fortran, data = call.state
            return _view(data, dtype, shape, fortran is True)
        if name == "_frombuffer":
            data, dtype, shape, order = call.args
            return _view(data, dtype, shape, order == "F")
        if name == "scalar":
            return _view(call.args[1], call.args[0], ())
        if name == "_rebuild_tensor_v2":
            return _tensor(*call.args)
    except ValueError as error:
        raise ValueError(f"holds an array or tensor that cannot be read: {error}") from None
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ValueError("holds a damaged array or tensor, or something else in its place") from None
    raise ValueError(f"holds {name} where an array or a tensor is expected")


def _content(path: Path) -> dict:
    """The dict that numpy.save pickled as the one element of a 0-d array of objects."""
    try:
        if not path.is_file():  # nor a pipe, which would keep us waiting
            raise ValueError("does not exist")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"takes over {MAX_FILE_BYTES >> 30} GiB")
        stream = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise ValueError(f"cannot be read: {error}") from None
    try:
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = read[np.lib.format.read_magic(stream)](stream)
    except Exception:  # numpy reads the header as Python, so a broken one raises MemoryError, TokenError and others
        raise ValueError("is no .npy file, or a broken one") from None
    if dtype.kind != "O" or shape != ():
        raise ValueError("holds a plain array, which does not tell its classes, where one pickled dict is expected")
    array = _unpickle(stream)
    elements = array.state[-1] if type(array) is _Call and type(array.state) is tuple and array.state else None
    if type(elements) is not list or len(elements) != 1 or type(elements[0]) is not dict:
        raise ValueError("holds no dict")
    return elements[0]


def _numbers(value: object, most: int) -> list[int]:
    """Class numbers, each once: integers 0..most-1 as an array or a tensor [K] or a list."""
    if type(value) in (list, tuple):
        numbers = [_array(number).tolist() if type(number) is _Call else number for number in value[: most + 1]]
    else:
        array = _array(value)
        numbers = array[: most + 1].tolist() if array.ndim == 1 else [None]
    if any(type(number) is not int for number in numbers):
        raise ValueError("holds keys that are no list of integers")
    for number in numbers:
        if not 0 <= number < most:
            raise ValueError(f"holds maps of the unknown class {number}; known are 0 to {most - 1}")
    if len(set(numbers)) < len(numbers):
        raise ValueError("holds a class twice")
    return numbers


def _floats(value: object, name: str, shape: tuple[int | None, ...], places: object = ...) -> np.ndarray:
    """Float32 in 0..1 of some places of an array that must have a shape (None: any), there within the tolerance."""
    array = _array(value)
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        found, expected = ("×".join("any" if n is None else str(n) for n in sides) for sides in (array.shape, shape))
        raise ValueError(f"holds {name} of shape {found} where its keys and the image ask for {expected}")
    with np.errstate(over="ignore"):  # an infinity is reported below
        array = array[places].astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"holds {name} that is not finite")
    if array.min() < -TOLERANCE or array.max() > 1 + TOLERANCE:
        raise ValueError(f"holds {name} from {array.min():g} to {array.max():g}, outside of 0 to 1")
    return array.clip(0, 1)


def _chosen(content: Mapping, size: tuple[int, int], keys: Sequence[int], most: int) -> list[np.ndarray]:
    """Coarse maps [K, any, any], full maps [K, H, W], or the one of them that the file holds, of some classes."""
    irn = "keys" in content
    if not irn and (not content or any(type(key) is str for key in content)):
        raise ValueError("holds a dict with neither keys (IRN's style) nor class numbers (PSA's)")
    numbers = _numbers(content["keys"] if irn else list(content), most)
    for key in keys:
        if key not in numbers:
            raise ValueError(f"lacks class {key}, which the image has")
    places = [numbers.index(key) for key in keys]
    if not irn:
        maps = list(content.values())
        return [np.stack([_floats(maps[place], f"a map of class {numbers[place]}", size) for place in places])]
    shapes = {"cam": (len(numbers), None, None), "high_res": (len(numbers), *size)}
    found = [_floats(content[name], name, shapes[name], places) for name in shapes if content.get(name) is not None]
    if not found:
        raise ValueError("holds neither cam nor high_res")
    height, width = found[0].shape[1:]
    if abs(height * size[1] - width * size[0]) > max(size):  # more than a node from the image's proportions
        raise ValueError(f"holds cam of {height}×{width}, which is not the shape of its image, {size[0]}×{size[1]}")
    return found


def _resize(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear interpolation of maps [K, any, any] to a size; maps of that size stay as they are."""
    if maps.shape[1:] == size:
        return maps
    resized = F.interpolate(torch.from_numpy(maps)[None], size, mode="bilinear", align_corners=False)[0]
    return resized.clamp(0, 1).numpy()  # weights that do not quite add up to 1 may carry it over


def read_external_cams(
    path: str | Path, size: tuple[int, int], keys: Sequence[int], most: int, full_size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Another method's maps of an image's own classes, in IRN's or PSA's style.

    size: (H, W) as the image is worked on; keys: the file's numbers, from 0, of the classes wanted (at least one);
    most: how many classes the file's numbering has; full_size: the image's own (H, W), which the file's is, where a
    smaller copy is worked on. Returns float32 in 0..1, in the order of keys, on the graph's grid [K, h, w] and at
    [K, H, W]; what the file lacks is interpolated from what it holds. Raises ValueError, naming the file, where it
    is missing or broken, holds what is no array or tensor, or maps of another size, other classes, or outside of 0..1.
    """
    try:
        maps = _chosen(_content(Path(path)), tuple(full_size or size), keys, most)
    except ValueError as error:
        raise ValueError(f"CAM file {path}: {str(error)[:300]}") from None
    return _resize(maps[0], grid_size(*size)), _resize(maps[-1], tuple(size))
