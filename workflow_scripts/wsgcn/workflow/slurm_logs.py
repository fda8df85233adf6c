"""Why jobs failed in Slurm before their own log began: a node without the software, too little time or memory."""

import re
from collections.abc import Iterator
from pathlib import Path

ERROR = re.compile(
    r"^(srun|sbatch|slurmstepd|slurmd)[^:]*: (error|fatal): |command not found|No such file or directory|"
    r"^\w*(Error|Exception): |MemoryError|\b(Oom|oom)-?[Kk]ill|^Killed"
)
"""Lines of Slurm's log of a job that say why it failed."""

MAX_JOBS, MAX_LINES = 5, 3


def failures(folder: Path, since: float) -> Iterator[str]:
    """A sentence for each job that has failed since a time [seconds], from the logs that Slurm's executor keeps of
    those in Snakemake's `folder`; the newest few of them."""
    logs = [(path.stat().st_mtime, path) for path in (folder / "slurm_logs").rglob("*.log")]
    said = 0
    for changed, path in sorted(logs, reverse=True):
        if changed < since or said == MAX_JOBS:
            break
        lines = [line.strip() for line in path.read_text(errors="replace").splitlines()]
        found = list(dict.fromkeys(line for line in lines if ERROR.search(line)))[:MAX_LINES]
        if found:
            said += 1
            yield f"Slurm's job {path.stem}: {'; '.join(found)} (more in {path})"
