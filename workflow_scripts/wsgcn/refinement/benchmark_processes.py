"""Functions run in processes of their own, for their seconds and their peak memory."""

import multiprocessing
import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import torch


def run_in_processes(
    function: Callable[..., dict], arguments: Sequence[tuple], cores: int, num_processes: int
) -> list[dict]:
    """The results of `function` for each of its arguments, each in a process of its own.

    `num_processes` of them share the cores at a time. Each result, a dict with `seconds` by part, also gets the peak
    memory [MB] of its process, `peak_mb`, and its seconds are divided by the number of processes at that time: the
    seconds per image where many are processed.
    """
    fork, results = multiprocessing.get_context("fork"), []
    for start in range(0, len(arguments), num_processes):
        batch = arguments[start : start + num_processes]
        with ProcessPoolExecutor(len(batch), fork) as pool:
            running = [pool.submit(_run_and_measure, function, each, cores // num_processes) for each in batch]
            results += [future.result() for future in running]
        for result in results[start:]:
            result["seconds"] = {part: seconds / len(batch) for part, seconds in result["seconds"].items()}
    return results


def _run_and_measure(function: Callable[..., dict], arguments: tuple, threads: int) -> dict:
    torch.set_num_threads(max(1, threads))
    result = function(*arguments)
    return result | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
