"""The scripts of profiles/kubernetes, with a stand-in for kubectl. Run alone: `python -m pytest
tests/workflow/test_kubernetes.py`."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from tiny_project import ROOT

SCRIPTS = ROOT / "profiles/kubernetes"
WHERE = {"WSGCN_IMAGE": "registry/wsgcn:1", "WSGCN_CLAIM": "data", "WSGCN_PATH": "/wsgcn"}


def run(folder: Path, kubectl: str, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a script with a shell script as kubectl."""
    (folder / "kubectl").write_text(f"#!/bin/sh\n{kubectl}\n")
    (folder / "kubectl").chmod(0o755)
    environment = os.environ | variables | {"PATH": f"{folder}:{os.environ['PATH']}"}
    command = [SCRIPTS / script, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("gpus", ["0", "1"])
def test_a_job_has_the_memory_time_and_cores_it_asks_for(tmp_path, gpus):
    done = run(tmp_path, "cat >manifest", "submit.sh", "4000", "3", "42", gpus, "/wsgcn/a job.sh", **WHERE)
    made = yaml.safe_load((tmp_path / "manifest").read_text())
    assert done.returncode == 0 and done.stdout.splitlines() == [made["metadata"]["name"]]
    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["activeDeadlineSeconds"] == 42 * 60 and made["spec"]["backoffLimit"] == 0
    assert container["resources"]["requests"] == {"cpu": "3", "memory": "4000M"}
    gpu = {} if gpus == "0" else {"nvidia.com/gpu": "1"}
    assert container["resources"]["limits"] == {"memory": "4000M"} | gpu
    assert (container["image"], container["workingDir"]) == (WHERE["WSGCN_IMAGE"], str(tmp_path))
    assert container["command"] == ["/bin/sh", "/wsgcn/a job.sh"]
    assert container["volumeMounts"] == [{"name": "project", "mountPath": "/wsgcn"}]
    assert pod["volumes"] == [{"name": "project", "persistentVolumeClaim": {"claimName": "data"}}]


@pytest.mark.parametrize("missing", sorted(WHERE))
def test_what_is_not_said_is_asked_for(tmp_path, missing):
    said = {name: value for name, value in WHERE.items() if name != missing}
    done = run(tmp_path, "cat >manifest", "submit.sh", "1", "1", "1", "0", "job.sh", **said)
    assert done.returncode and f"{missing}: is " in done.stderr and not done.stdout


def test_a_job_that_kubernetes_refuses_is_an_error(tmp_path):
    done = run(tmp_path, "echo denied >&2; exit 1", "submit.sh", "1", "1", "1", "0", "job.sh", **WHERE)
    assert done.returncode and "denied" in done.stderr and not done.stdout


@pytest.mark.parametrize(
    ("kubectl", "status"),
    [
        ("echo 'job 1 failed:'", "success"),
        ("echo 'job  failed:1'", "failed"),
        ("echo 'job  failed:'", "running"),
        ("true", "failed"),  # there is no such job
        ("exit 1", "running"),  # the server does not answer
    ],
)
def test_the_state_of_a_job_is_told(tmp_path, kubectl, status):
    assert run(tmp_path, kubectl, "status.sh", "wsgcn-1").stdout.strip() == status
