"""A Slurm of one node, started from Debian's packages slurm-wlm and munge in a folder, for tests on this machine."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

CONF_FILE = Path("/etc/slurm/slurm.conf")
"""Where Slurm's commands look, since the executor takes SLURM_CONF from the environment of its inner steps."""

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def why_missing() -> str:
    """Why there can be no Slurm here, or an empty string."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=path)]:
        return f"{', '.join(missing)} not found: apt-get install slurm-wlm munge"
    if not find_spec("snakemake_executor_plugin_slurm"):
        return "pip install snakemake-executor-plugin-slurm"
    if CONF_FILE.exists():
        return f"{CONF_FILE}: this machine has a Slurm of its own"
    return "" if os.getuid() == 0 else "only root starts Slurm's daemons"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def slurm(folder: Path, cpus: int = 4, memory: int = 16000) -> Iterator[dict[str, str]]:
    """Run Slurm in a folder; yields the environment in which its commands find it. memory: of the node [MB]."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    conf = folder / "slurm.conf"
    text = CONF.format(folder=folder, host=host, cpus=cpus, memory=memory, control=_free_port(), node=_free_port())
    conf.write_text(text)
    environment = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    for path in (folder, *folder.parents):  # munged refuses folders that others can enter and change
        if path.stat().st_mode & 0o022 and not path.stat().st_mode & 0o1000:
            path.chmod(0o755)
    commands = [
        ["munged", "--foreground", "--force", "--num-threads=2", f"--key-file={key}"]
        + [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
        + [f"--socket={folder}/munge.socket"],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c", "-N", host],
    ]
    daemons: list[subprocess.Popen] = []
    CONF_FILE.parent.mkdir(parents=True, exist_ok=True)
    CONF_FILE.symlink_to(conf)
    try:
        for command in commands:
            log = open(folder / f"{command[0]}.out", "w")
            daemons.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
            time.sleep(1)
        _wait_until_idle(environment, folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True)
        time.sleep(2)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
        CONF_FILE.unlink()


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    for _ in range(60):
        shown = subprocess.run(["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True)
        if shown.stdout.strip() in ("idle", "mixed"):
            return
        time.sleep(1)
    logs = "\n".join(path.read_text()[-1500:] for path in [*folder.glob("*.out"), *folder.glob("*.log")])
    raise RuntimeError(f"Slurm does not start: {shown.stdout}{shown.stderr}\n{logs}")


if __name__ == "__main__":  # `python tests/cluster/slurm.py FOLDER`, to try by hand
    with slurm(Path(sys.argv[1])):
        input("Slurm runs. Enter ends it. ")
