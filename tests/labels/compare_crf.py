"""Compare the two backends of the dense CRF on photographs: bits, seconds and peak memory, in one process and thread.

    .venv/bin/python tests/labels/compare_crf.py FOLDER --images 12

Needs pydensecrf. Per image and setting: one CRF on a new image, and two that share it; scores are smooth random fields.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from test_crf_backends import SETTINGS

from wsgcn.files import read_image
from wsgcn.labels import crf_numba, crf_pydensecrf

PAPERS = ("WSGCN", "IRNet", "AffinityNet")


def smooth_log_scores(rng, labels: int, size: tuple[int, int]) -> np.ndarray:
    """Log probabilities float32 [labels, H·W] of labels in blobs a seventh of the image wide."""
    fields = torch.from_numpy(rng.normal(size=(1, labels, 7, 7)) * 3)
    return F.interpolate(fields, size, mode="bicubic")[0].log_softmax(0).clamp(-11.5, 0).float().flatten(1).numpy()


def peak_bytes(call) -> int:
    """By how much `call` raises the process's memory at most."""
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def forget() -> None:
    crf_numba._gaussian_kernel.cache_clear()
    crf_numba._bilateral_kernel.cache_clear()


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


def compare_bits(images, labels) -> tuple[int, int, float]:
    """(comparisons, those with equal bits, the largest difference) over images, settings and numbers of labels."""
    rng, count, equal, largest = np.random.default_rng(0), 0, 0, 0.0
    for image in images:
        for cut in range(4):  # sizes of every remainder by four
            part = np.ascontiguousarray(image[:, : image.shape[1] - cut] if image.shape[0] % 2 else image[:-1, cut:])
            for number in labels:
                scores = smooth_log_scores(rng, number, part.shape[:2])
                for name in PAPERS:
                    ours = crf_numba.infer(part, scores, SETTINGS[name])
                    theirs = crf_pydensecrf.infer(part, scores, SETTINGS[name])
                    count += 1
                    equal += np.array_equal(ours.view(np.uint32), theirs.view(np.uint32))
                    largest = max(largest, float(abs(ours - theirs).max()))
    return count, equal, largest


def compare_speed(images, repeats: int) -> None:
    rng = np.random.default_rng(0)
    forget()
    first = smooth_log_scores(rng, 3, images[0].shape[:2])
    print(f"first call, compiling or from the cache: {seconds(lambda: run(crf_numba, images[0], [first])):.2f} s")
    for name in PAPERS:
        for labels in (2, 3, 4, 7, 21):
            totals, peaks = np.zeros(4), np.zeros(4)
            for image in images:
                pair = [smooth_log_scores(rng, labels, image.shape[:2]) for _ in range(2)]
                calls = [
                    partial(run, backend, image, scores, name)
                    for scores in (pair[:1], pair)
                    for backend in (crf_pydensecrf, crf_numba)
                ]
                totals += [fastest(call, repeats, forget) for call in calls]
                for k, call in enumerate(calls):
                    forget()
                    peaks[k] = max(peaks[k], peak_bytes(call))
            one, two = totals[0] / totals[1], totals[2] / totals[3]
            times = " ".join(f"{total / len(images):.3f}" for total in totals)
            memory = " ".join(f"{peak / 1e6:.0f}" for peak in peaks)
            print(
                f"{name:12} {labels:2} labels: s/image {times}, {one:.2f} and {two:.2f} times as fast, MB {memory}",
                flush=True,
            )


def run(backend, image, scores, name: str = "IRNet") -> None:
    for each in scores:
        backend.infer(image, each, SETTINGS[name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.jpg"))
    chosen = [read_image(file) for file in files[:: max(1, len(files) // arguments.images)][: arguments.images]]
    print(f"{len(chosen)} photographs; s/image and MB: one CRF by pydensecrf and by numba, two by each")
    compare_speed(chosen, arguments.repeats)
    print("bits: {} comparisons, {} equal, largest difference {}".format(*compare_bits(chosen[:4], range(1, 22))))
