"""The address of the store: what it may be, and that no password stays in it.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_address.py`.
"""

from types import SimpleNamespace

import pytest

from wsgcn.tracking import address
from wsgcn.tracking.address import DEFAULT_URI, artifact_folder, read_address, store_problems

VARIABLE = "MLFLOW_TRACKING_URI"


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}, {VARIABLE: "  "}])
def test_an_empty_variable_is_none(environment):
    assert read_address(environment) == DEFAULT_URI and VARIABLE not in environment


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000", "https://mlflow.example.org/team", "sqlite:///results/mlflow.db", "sqlite:////shared/x.db",
        "postgresql://me@db.example.org/mlflow", "postgresql:///db?host=/run", "postgresql+psycopg://db/mlflow", "mysql+pymysql://me@db:3306/mlflow",
    ],
)  # fmt: skip
def test_addresses_are_taken_as_they_are(uri):
    environment = {VARIABLE: f" {uri} "}
    assert read_address(environment) == uri == environment[VARIABLE] and len(environment) == 1


@pytest.mark.parametrize(
    "uri, clean, user, password",
    [
        ("https://me:s3cret@host/x", "https://host/x", "me", "s3cret"),
        ("http://me:s3%40cret@host:5000", "http://host:5000", "me", "s3@cret"),
        ("https://:s3cret@host", "https://host", None, "s3cret"),
        ("https://me@host", "https://host", "me", None),
        ("https://m@e:s3:cret@host", "https://host", "m@e", "s3:cret"),
    ],
)
def test_the_user_of_a_server_moves_to_mlflow_s_own_variables(uri, clean, user, password):
    environment = {VARIABLE: uri}
    assert read_address(environment) == clean == environment[VARIABLE]
    assert environment.get("MLFLOW_TRACKING_USERNAME") == user
    assert environment.get("MLFLOW_TRACKING_PASSWORD") == password


def test_mlflow_s_own_variables_come_first():
    environment = {VARIABLE: "https://me:s3cret@host", "MLFLOW_TRACKING_PASSWORD": "newer"}
    read_address(environment)
    assert environment["MLFLOW_TRACKING_PASSWORD"] == "newer" and "s3cret" not in str(environment)


@pytest.mark.parametrize(
    "uri, hint",
    [
        ("postgresql://me:s3cret@db/mlflow", "PGPASSWORD"),
        ("postgresql+psycopg2://me:s3cret@db/mlflow", "~/.pgpass"),
        ("mysql+pymysql://me:s3cret@db/mlflow", "~/.my.cnf"),
        ("mssql+pyodbc://me:s3cret@db/mlflow", "own settings"),
        ("postgresql://db/mlflow?user=me&password=s3cret", "in its query"),
        ("https://host/?token=s3cret", "in its query"),
        ("https://host/?access_token=s3cret", "in its query"),
        ("https://host/?api_key=s3cret", "in its query"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret", "in its query"),
        ("http://me:12/s3cret@host", "after its host"),
        ("http://me:12#s3cret@host", "after its host"),
        ("http://me:se/cret-s3cret@host", "not an address"),
    ],
)
def test_the_password_of_a_database_is_refused_and_not_repeated(uri, hint):
    with pytest.raises(ValueError) as error:
        read_address({VARIABLE: uri})
    assert hint in str(error.value) and "s3cret" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "uri",
    ["localhost:5000", "results/mlflow.db", "./mlruns", "file:///tmp/mlruns", "http:/host", "http://", "htp://host:1",
     "sqlite://mlflow.db", "sqlite:///", "http://host:port", "https://me:s3cret@[host", "postgresql:///mlflow"],
)  # fmt: skip
def test_what_is_no_address_is_refused(uri):
    with pytest.raises(ValueError) as error:
        read_address({VARIABLE: uri})
    assert str(error.value).startswith(VARIABLE) and "s3cret" not in str(error.value)
    if uri == "localhost:5000":
        assert str(error.value).endswith("did you mean http://localhost:5000?")


def test_files_lie_beside_the_store():
    assert str(artifact_folder(DEFAULT_URI)) == "results/mlartifacts"
    assert str(artifact_folder("sqlite:////shared/x.db")) == "/shared/mlartifacts"
    assert artifact_folder("http://host") is None


@pytest.mark.parametrize("folder", ["/home/100%/p", "/a%20b", "/p%"])
def test_a_folder_that_mlflow_cannot_migrate_in_is_named_first(folder, monkeypatch):
    spec = SimpleNamespace(origin=f"{folder}/.venv/mlflow/__init__.py")
    monkeypatch.setattr(address, "find_spec", lambda name: spec)
    [problem] = store_problems(DEFAULT_URI)
    assert f"{folder}/.venv/mlflow: rename that folder" in problem
    assert not list(store_problems("https://host"))


@pytest.mark.parametrize(
    "scheme, package", [("postgresql", "psycopg2-binary"), ("mysql", "mysqlclient"), ("mssql", "pyodbc")]
)
def test_a_missing_driver_is_named(scheme, package, monkeypatch):
    monkeypatch.setattr(address, "find_spec", lambda name: None)
    assert list(store_problems(f"{scheme}://me@host/x")) == [
        f"MLFLOW_TRACKING_URI: needs a driver, `.venv/bin/pip install {package}`"
    ]
    assert not list(store_problems(f"{scheme}+another://me@host/x"))


def test_a_folder_is_no_store(tmp_path):
    [problem] = store_problems(f"sqlite:///{tmp_path}")
    assert problem.endswith("is a folder; name the file of a database in it")
