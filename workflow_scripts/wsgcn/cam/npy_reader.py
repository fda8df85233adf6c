"""Reads .npy files of one pickled dict of arrays or tensors [IRNet's and PSA's released code], and executes nothing.

Such a file is untrusted and pickles can run code, so neither pickle nor torch.load ever sees it: its operations are
read one by one into plain values and records of the calls (none is made), and arrays are cut from checked records.
"""

import io
import itertools
import math
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAX_FILE_BYTES = 2**31  # of a file; 20 classes of a 1000×1000 image in float64 take 0.16 GB
MAX_OPERATIONS = 100_000  # of one pickle; the tensors of 80 classes take 4,000
MAX_AXES = 4  # of an array

_NUMBER_CODES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
_STORAGES = {"Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": "<u2"}
_STORAGES |= {"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"}
_STORAGES = {f"torch {kind}Storage": code for kind, code in _STORAGES.items()}
_KNOWN_NAMES = {"numpy ndarray", "numpy dtype", "_codecs encode", "collections OrderedDict"}
_KNOWN_NAMES |= {f"numpy.{core}.multiarray {name}" for core in ("core", "_core") for name in ("_reconstruct", "scalar")}
_KNOWN_NAMES |= {f"numpy.{core}.numeric _frombuffer" for core in ("core", "_core")}
_KNOWN_NAMES |= {"torch._utils _rebuild_tensor_v2", "torch.storage _load_from_bytes", *_STORAGES}

_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_LITERALS |= {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUM_POPPED: dict[str, int | None] = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1}
_NUM_POPPED |= {"SETITEM": 2, "STACK_GLOBAL": 2, "REDUCE": 2, "BUILD": 1, "BINPERSID": 1}
_NUM_POPPED |= {"TUPLE": None, "APPENDS": None, "SETITEMS": None}  # None: down to a mark


@dataclass(eq=False)
class CallRecord:
    """A name of _KNOWN_NAMES in a pickle, the arguments it is called with, if any, and the state of the result."""

    name: str
    args: Any = None
    state: Any = None


def read_pickled_dict(path: Path) -> dict:
    """The dict that numpy.save pickled as the one element of a 0-d array of objects; its arrays are CallRecords.

    Raises ValueError, as the end of a sentence about the file, where it is missing, too large, broken, or holds
    anything else.
    """
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
        raise ValueError("is not a .npy file, or a broken one") from None
    if dtype.kind != "O" or shape != ():
        raise ValueError("holds a plain array without class numbers, where one pickled dict is expected")
    array = _unpickle(stream)
    elements = array.state[-1] if type(array) is CallRecord and type(array.state) is tuple and array.state else None
    if type(elements) is not list or len(elements) != 1 or type(elements[0]) is not dict:
        raise ValueError("holds no dict")
    return elements[0]


def read_array(record: Any) -> np.ndarray:
    """The array, number or tensor that a record of a file describes, as it was saved, bfloat16 as float32.

    Raises ValueError, as the end of a sentence about the file, where the record is damaged or describes something else.
    """
    try:
        name = record.name.split()[-1]
        if name == "_reconstruct":
            _, shape, dtype, fortran, data = record.state
            return _view(data, dtype, shape, fortran is True)
        if name == "_frombuffer":
            data, dtype, shape, order = record.args
            return _view(data, dtype, shape, order == "F")
        if name == "scalar":
            return _view(record.args[1], record.args[0], ())
        if name == "_rebuild_tensor_v2":
            return _tensor(*record.args)
    except ValueError as error:
        raise ValueError(f"holds an array or tensor that cannot be read: {error}") from None
    except (AttributeError, IndexError, KeyError, TypeError):
        raise ValueError("holds a damaged array or tensor, or something else in its place") from None
    raise ValueError(f"holds {name} where an array or a tensor is expected")


def _unpickle(stream: io.BytesIO, persistent: bool = False) -> Any:
    """Read one pickle of protocol 2 to 5 as plain values and CallRecords; persistent: ids of tensor storages are known.

    Raises ValueError on names outside _KNOWN_NAMES and on every operation that dicts, arrays and tensors do not need.
    """
    try:
        operations = list(itertools.islice(pickletools.genops(stream), MAX_OPERATIONS + 1))
    except ValueError as error:
        raise ValueError(f"holds a damaged pickle: {error}") from None
    if len(operations) > MAX_OPERATIONS:
        raise ValueError(f"holds over {MAX_OPERATIONS} pickled values, and class activation maps take few")
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    try:
        for name, arg in ((operation.name, arg) for operation, arg, _ in operations):
            items = []
            if name in _NUM_POPPED:
                count = _NUM_POPPED[name]
                start = marks.pop() if count is None else max(len(stack) - count, 0)
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
                if any(type(key) not in (int, str, CallRecord) for key in items[::2]):  # hashing nested tuples hangs
                    raise ValueError("holds a dict whose keys are neither numbers nor names")
                stack[-1].update(zip(items[::2], items[1::2], strict=True))
            elif name in ("GLOBAL", "STACK_GLOBAL"):
                arg = arg or " ".join(part if type(part) is str else "?" for part in items)
                if arg not in _KNOWN_NAMES:
                    shown = ascii(arg[:80].replace(" ", "."))[1:-1]
                    raise ValueError(f"holds {shown}, and only arrays and tensors are read")
                stack.append(CallRecord(arg))
            elif (
                name == "REDUCE" and type(items[0]) is CallRecord and items[0].args is None and type(items[1]) is tuple
            ):
                empty = items[0].name == "collections OrderedDict" and not items[1]
                stack.append({} if empty else CallRecord(items[0].name, items[1]))
            elif name == "BUILD" and type(stack[-1]) is CallRecord:
                stack[-1].state = items[0]
            elif name == "BINPERSID" and persistent:
                stack.append(CallRecord("storage", items[0]))
            elif name not in ("PROTO", "FRAME", "STOP"):
                raise ValueError(f"holds the pickle operation {name} where dicts, arrays and tensors have none")
        return stack.pop()
    except (IndexError, KeyError):
        raise ValueError("holds a damaged pickle") from None


def _bytes(value: Any) -> bytes | bytearray:
    """Bytes, or the call by which protocol 2 spells them: _codecs.encode(text, "latin1")."""
    value = value.args[0].encode("latin1") if type(value) is CallRecord else value
    if type(value) not in (bytes, bytearray):
        raise ValueError("its data are no bytes")
    return value


def _checked_sizes(values: Any, minimum: int) -> tuple[int, ...]:
    """A shape or strides: a tuple of at most MAX_AXES integers from `minimum`."""
    if type(values) is not tuple or len(values) > MAX_AXES or any(type(n) is not int or n < minimum for n in values):
        raise ValueError("its shape is impossible")
    return values


def _view(data: Any, dtype: Any, shape: Any, fortran: bool = False) -> np.ndarray:
    """An array over bytes; dtype is a type code or the record of numpy.dtype("f4", ...), state (3, byte order, ...)."""
    if type(dtype) is not str:
        code, order = dtype.args[0], dtype.state[1]
        if dtype.name != "numpy dtype" or code not in _NUMBER_CODES or order not in ("<", ">", "|"):
            raise ValueError("its elements are no numbers")
        dtype = order + code
    data, dtype = _bytes(data), np.dtype(dtype)
    if math.prod(_checked_sizes(shape, 1)) * dtype.itemsize != len(data):
        raise ValueError("its shape does not fit its data")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _tensor(storage: CallRecord, offset: int, shape: tuple, strides: tuple, _: bool, hooks: dict) -> np.ndarray:
    """A tensor's array (bfloat16 as float32); its storage is five pickles, the number of elements, and their bytes."""
    data = _bytes(storage.args[0])
    stream = io.BytesIO(data)
    magic, version, _, stored, _ = (_unpickle(stream, persistent=True) for _ in range(5))
    _, kind, _, _, count, view = stored.args
    if magic != 0x1950A86A20F9469CFC6C or version != 1001 or view is not None or hooks:
        raise ValueError("its format is unknown")
    elements = _view(data[stream.tell() + 8 :], _STORAGES[kind.name], (count,))
    first = sum(_checked_sizes((offset,), 0))
    sizes = zip(_checked_sizes(shape, 1), _checked_sizes(strides, 0), strict=True)
    last = first + sum((n - 1) * step for n, step in sizes)
    if last >= count or math.prod(shape) > count:  # strides of 0 would let a small file hold a vast tensor
        raise ValueError("its shape does not fit its data")
    steps = [step * elements.itemsize if n > 1 else 0 for n, step in zip(shape, strides, strict=True)]
    array = np.lib.stride_tricks.as_strided(elements[first:], shape, steps, writeable=False)
    return (array.astype(np.uint32) << 16).view(np.float32) if kind.name == "torch BFloat16Storage" else array
