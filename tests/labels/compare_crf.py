"""Compare the two backends of the dense CRF on photographs: bits, seconds and peak memory, in one process and thread.

    .venv/bin/python tests/labels/compare_crf.py FOLDER --images 12

Needs pydensecrf. Per image and setting: one CRF on a new image, and two that share it; scores are smooth random fields.
"""

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from test_crf_backends import SETTINGS

from wsgcn.files import read_image
from wsgcn.labels import crf_numba, crf_pydensecrf

BOTH = (crf_pydensecrf, crf_numba)
PAPERS = ("WSGCN", "IRNet", "AffinityNet")


def smooth_log_scores(rng, labels: int, size: tuple[int, int]) -> np.ndarray:
    """Log probabilities float32 [labels, H·W] of labels in blobs a seventh of the image wide."""
    fields = torch.from_numpy(rng.normal(size=(1, labels, 7, 7)) * 3)
    return F.interpolate(fields, size, mode="bicubic")[0].log_softmax(0).clamp(-11.5, 0).float().flatten(1).numpy()


def peak_bytes(backend: str, files: Sequence[Path], labels: int, name: str, count: int) -> int:
    """By how much some CRFs on each of the images in turn raise the memory of a new process at most."""
    module = {"numba": crf_numba, "pydensecrf": crf_pydensecrf}[backend]
    run(module, np.zeros((9, 9, 3), np.uint8), [np.zeros((labels, 81), np.float32)], name)  # loads what is compiled
    images = [read_image(file) for file in files]
    scores = [[smooth_log_scores(np.random.default_rng(0), labels, i.shape[:2])] * count for i in images]
    before = status("VmRSS")
    for image, each in zip(images, scores, strict=True):
        run(module, image, each, name)
    return max(0, status("VmHWM") - before)


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def seconds(call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def fastest(call, repeats: int, before=lambda: None) -> float:
    found = []
    for _ in range(repeats):
        before()
        found.append(seconds(call))
    return min(found)


class Bits:
    """How many results of both backends were compared, were equal, and by how much they differ at most."""

    def __init__(self) -> None:
        self.compared, self.equal, self.largest = 0, 0, 0.0

    def compare(self, image, scores, name: str) -> None:
        theirs, ours = (module.infer(image, scores, SETTINGS[name]) for module in BOTH)
        self.compared += 1
        self.equal += np.array_equal(ours.view(np.uint32), theirs.view(np.uint32))
        self.largest = max(self.largest, float(abs(ours - theirs).max()))


def compare_bits(images) -> None:
    """Halved images of sizes with every remainder by four, 1 to 21 labels, all settings in turn."""
    rng, bits = np.random.default_rng(0), Bits()
    for image in images:
        half = image[: image.shape[0] // 2 * 2 - 2 : 2, : image.shape[1] // 2 * 2 : 2]
        for cut in range(4):
            part = np.ascontiguousarray(half[: half.shape[0] // 4 * 4 + 1, : half.shape[1] // 4 * 4 - cut])
            for number in range(1, 22):
                bits.compare(part, smooth_log_scores(rng, number, part.shape[:2]), PAPERS[number % len(PAPERS)])
    print(f"bits: {bits.compared} comparisons, {bits.equal} equal, largest difference {bits.largest}")


def compare_speed(images, repeats: int) -> None:
    rng, bits = np.random.default_rng(0), Bits()
    crf_numba.forget_kernels()
    first = smooth_log_scores(rng, 3, images[0].shape[:2])
    print(f"first call, compiling or from the cache: {seconds(lambda: run(crf_numba, images[0], [first])):.2f} s")
    for name in PAPERS:
        for labels in (2, 3, 7, 21):
            totals = np.zeros(4)
            for image in images:
                pair = [smooth_log_scores(rng, labels, image.shape[:2]) for _ in range(2)]
                calls = [partial(run, module, image, scores, name) for scores in (pair[:1], pair) for module in BOTH]
                bits.compare(image, pair[0], name)
                totals += [fastest(call, repeats, crf_numba.forget_kernels) for call in calls]
            one, two = totals[0] / totals[1], totals[2] / totals[3]
            times = " ".join(f"{total / len(images):.3f}" for total in totals)
            print(f"{name:12} {labels:2} labels: s/image {times}, {one:.2f} and {two:.2f} times as fast", flush=True)
    print(f"at full size: {bits.compared} comparisons, {bits.equal} equal, largest difference {bits.largest}")


def compare_memory(files) -> None:
    for name, labels in (("IRNet", 3), ("WSGCN", 3), ("WSGCN", 21)):
        peaks = []
        for count in (1, 2):
            for backend in ("pydensecrf", "numba"):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    peaks.append(pool.apply(peak_bytes, (backend, files, labels, name, count)))
        print(f"{name:12} {labels:2} labels: peak MB {' '.join(f'{peak / 1e6:.0f}' for peak in peaks)}", flush=True)


def run(module, image, scores, name: str = "IRNet") -> None:
    for each in scores:
        module.infer(image, each, SETTINGS[name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.jpg"))
    files = files[:: max(1, len(files) // arguments.images)][: arguments.images]
    chosen = [read_image(file) for file in files]
    print(f"{len(chosen)} photographs; s/image and MB: one CRF by pydensecrf and by numba, two by each")
    compare_speed(chosen, arguments.repeats)
    compare_memory(files[:4])
    compare_bits(chosen[:4])
