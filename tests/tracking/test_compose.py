"""The compose file in docs/tracking.md: options that MLflow knows, and no password in it.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_compose.py`.
"""

import configparser
import re
import shlex
from importlib.metadata import version
from pathlib import Path

import mlflow
import pytest
import yaml
from mlflow.cli import server

PAGE = Path(__file__).parents[2] / "docs/tracking.md"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(re.search("```yaml\n(services:.*?)```", PAGE.read_text(), re.DOTALL)[1])


def test_mlflow_knows_the_options_of_its_server(compose):
    words = shlex.split(compose["services"]["mlflow"]["command"])
    known = {option for parameter in server.params for option in parameter.opts}
    assert words[:2] == ["mlflow", "server"] and {word for word in words if word.startswith("--")} <= known
    assert f"mlflow[auth]=={version('mlflow')}" in compose["services"]["mlflow"]["build"]["dockerfile_inline"]


def test_the_file_of_permissions_has_mlflow_s_keys(compose):
    own, theirs = configparser.ConfigParser(), configparser.ConfigParser()
    own.read_string(compose["configs"]["basic_auth"]["content"])
    theirs.read(Path(mlflow.__file__).with_name("server") / "auth/basic_auth.ini")
    assert set(own["mlflow"]) <= set(theirs["mlflow"])


def test_every_password_is_a_variable_that_must_be_set(compose):
    settings = {key: v for own in compose["services"].values() for key, v in own.get("environment", {}).items()}
    hidden = {key: value for key, value in settings.items() if re.search("PASSWORD|SECRET", key)}
    assert len(hidden) == 6 and all(re.fullmatch(r"\$\{\w+:\?\}", value) for value in hidden.values())
