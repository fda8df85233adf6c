"""Untrusted .npy files: nothing in them is ever executed, and broken ones end in a ValueError."""

import copyreg
import io
import os
import pickle
import struct
import time

import numpy as np
import pytest
import torch
from external_files import NUM_CLASSES, SIZE, assert_refused, header, irn, save, zero_dimensional

from wsgcn.cam.external import read_external_cams


class Call:
    """Pickles as a call of anything."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce_ex__(self, _):
        return self.reduced


def names(module, attribute):
    """A protocol 4 pickle that looks an attribute up and calls it with ("id",)."""
    text = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute))
    return b"\x80\x04" + text + b"\x93\x8c\x02id\x85R."


def attacks(marker):
    """Pickles, each of which would write `marker`, hang or fill the memory, and the part of the error that names it."""
    run = Call(os.system, (f"touch {marker}",))
    rebuild, load = torch._utils._rebuild_tensor_v2, torch.storage._load_from_bytes
    for protocol in (2, 3, 4, 5):
        for value in (run, {"keys": run}, {3: [[run]]}, {3: zero_dimensional(run)}, {"keys": [3], "cam": (run,)}):
            yield pickle.dumps(zero_dimensional(value), protocol), r"posix\.system"
        evaluate = Call(eval, (f"open({str(marker)!r}, 'w')",))
        yield pickle.dumps(zero_dimensional({3: evaluate}), protocol), r"builtin.*\.eval"
        for inner in (pickle.dumps(run, protocol), pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(run)):
            tensor = Call(rebuild, (Call(load, (inner,)), 0, SIZE, (14, 1), False, {}))
            yield pickle.dumps(zero_dimensional({3: tensor}), protocol), r"posix\.system"
        stream = io.BytesIO()
        torch.save(run, stream)
        tensor = Call(rebuild, (Call(load, (stream.getvalue(),)), 0, SIZE, (14, 1), False, {}))
        yield pickle.dumps(zero_dimensional({3: tensor}), protocol), "cannot be read"
        yield pickle.dumps(zero_dimensional({3: Call(copyreg._reconstructor, (dict, dict, {}))}), protocol), "copy_?reg"
    yield names("numpy._core.multiarray", "os"), r"numpy\._core\.multiarray\.os"
    yield names("numpy._core.multiarray", "_reconstruct.__globals__"), "__globals__"
    yield names("numpy", "ndarray.__class__.__subclasses__"), "__subclasses__"
    yield names("numpy._core.multiarray _reconstruct", ""), "_reconstruct"
    yield b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.", r"posix\.system"
    yield b"(S'touch " + str(marker).encode() + b"'\nios\nsystem\n.", "operation STRING"
    yield b"\x80\x02Pid\n.", "operation PERSID"
    yield b"\x80\x02K\x01Q.", "operation BINPERSID"
    yield b"\x80\x02\x82\x01.", "operation EXT1"
    yield b"\x80\x02cnumpy\nndarray\n)\x81.", "operation NEWOBJ"
    yield b"\x80\x02}}b.", "operation BUILD"
    yield b"\x80\x02K\x01K\x01R.", "operation REDUCE"
    yield b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"ab", "damaged pickle"
    yield b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"ab", "damaged pickle"
    yield b"\x80\x02Nr\xff\xff\xff\xff.", "holds no dict"  # a memo of 4 billion entries
    yield b"\x80\x02" + b"]" * 200_000 + b".", "over 100000 pickled values"
    yield b"\x80\x02}N" + b"\x85" * 90_000 + b"Ns.", "neither numbers nor names"  # deep, and ...
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    yield b"\x80\x02}N" + doubled + b"Ns.", "neither numbers nor names"  # ... wide: a hash of 2^60 steps
    for shape in ((10**6, 10**6), (2**62, 4), (2**64, 0), (-1, -140), 140):  # arrays of 140 bytes
        view = Call(np._core.numeric._frombuffer, (bytearray(140), np.dtype("u1"), shape, "C"))
        yield pickle.dumps(zero_dimensional({3: view}), 5), "cannot be read: its shape"
    beyond = ((1, (2, 70), (70, 1)), (0, (2, 70), (71, 1)), (-1, (1, 1), (1, 1)), (0, (1,), (-1,)))
    for view in beyond:
        tensor = Call(rebuild, (torch.zeros(140).storage(), *view, False, {}))
        yield pickle.dumps(zero_dimensional({3: tensor}), 4), "cannot be read: its shape"


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_nothing_is_executed(tmp_path):
    marker, path = tmp_path / "executed", tmp_path / "a.npy"
    for pickled, match in attacks(marker):
        path.write_bytes(header() + pickled)
        start = time.monotonic()
        assert_refused(path, match)
        assert time.monotonic() - start < 5
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(header() + next(attacks(marker))[0])
    np.load(path, allow_pickle=True)
    assert marker.exists()  # the attack is real


@pytest.mark.filterwarnings("ignore")
def test_broken_bytes_end_in_maps_or_a_value_error(rng, tmp_path):
    path, outcomes = tmp_path / "a.npy", {"read": 0, "refused": 0}
    size = (3, 5)
    psa = {3: rng.random(size), np.int8(4): np.zeros(size)}
    contents = [irn(rng, (3,), size), irn(rng, (3,), size, torch.tensor), psa]
    files = [save(path, content, protocol).read_bytes() for content in contents for protocol in (2, 3, 4, 5)]
    for turn in range(2000):
        data = bytearray(files[turn % len(files)])
        for _ in range(rng.integers(1, 4)):
            a, b = sorted(rng.integers(6, len(data), 2))
            match rng.integers(5):
                case 0:
                    data[a] = rng.integers(256)
                case 1:
                    data[a] ^= 1 << rng.integers(8)
                case 2:
                    del data[a : a + rng.integers(1, 9)]
                case 3:
                    data[a:a] = data[b : b + rng.integers(1, 30)]
                case 4:
                    data[a : a + 4] = rng.bytes(4)
        path.write_bytes(data)
        try:
            cam, full = read_external_cams(path, size, (3,), NUM_CLASSES)
        except ValueError as error:
            assert str(error).startswith(f"CAM file {path}: ")
            outcomes["refused"] += 1
        else:
            assert cam.shape == (1, 1, 2) and full.shape == (1, *size) and cam.dtype == full.dtype == np.float32
            assert 0 <= min(cam.min(), full.min()) and max(cam.max(), full.max()) <= 1
            outcomes["read"] += 1
    assert min(outcomes.values()) > 20
    assert list(tmp_path.iterdir()) == [path]
