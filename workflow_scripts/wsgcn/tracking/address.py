"""The address of the MLflow store, from the environment: without passwords, which would end up in files and logs.

Imports no MLflow, since planning reads it.
"""

from collections.abc import Iterator, MutableMapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT_URI = "sqlite:///results/mlflow.db"

DRIVERS = {  # the module that MLflow needs by default, what installs it, the port
    "postgresql": ("psycopg2", "psycopg2-binary", 5432),
    "mysql": ("MySQLdb", "mysqlclient", 3306),
    "mssql": ("pyodbc", "pyodbc", 1433),
}
SECRETS = ("password", "passwd", "pwd=", "token=", "secret", "key=")


def read_address(environment: MutableMapping[str, str]) -> str:
    """The store's address without a password: that of MLFLOW_TRACKING_URI, or of a file in results/.

    The user and the password of a server's address become MLflow's own variables in `environment`, so that the jobs of
    this process have them, and the address there loses them. An empty variable is none. Raises ValueError, without
    repeating a password, for a database whose address holds one, and for what is no address.
    """
    uri = environment.get(VARIABLE, "").strip()
    if not uri:
        environment.pop(VARIABLE, None)
        return DEFAULT_URI
    parts = _split(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme in ("http", "https"):
        uri = _without_user(parts, environment)
    elif scheme in DRIVERS and parts.password is not None:
        own = {"postgresql": "PGPASSWORD or ~/.pgpass", "mysql": "~/.my.cnf"}.get(scheme, "the driver's own settings")
        raise ValueError(f"{VARIABLE} holds a password, which would be written to files and logs; use {own} instead")
    if any(word in unquote(parts.query).lower() for word in SECRETS):
        raise ValueError(
            f"{VARIABLE} holds a password or a token in its query, which would be written to files and logs"
        )
    environment[VARIABLE] = uri
    return uri


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:  # whose words may repeat a part of a password
        raise ValueError(f"{VARIABLE} is not an address; a / or # in a password is written %2F or %23") from None
    scheme = parts.scheme.partition("+")[0]
    if "@" in parts.path + parts.fragment and scheme in ("http", "https", *DRIVERS):
        raise ValueError(f"{VARIABLE} has an @ after its host; a / or # in a password is written %2F or %23")
    if (scheme in ("http", "https", *DRIVERS) and parts.hostname) or (scheme in DRIVERS and parts.query):
        return parts
    if scheme == "sqlite" and uri.startswith("sqlite:///") and len(uri) > len("sqlite:///"):
        return parts
    known = ", ".join(f"{name}://" for name in ("http", "https", *DRIVERS))
    guess = f"; did you mean http://{uri}?" if ":" in uri and "/" not in uri and "@" not in uri else ""
    raise ValueError(f"{VARIABLE} must begin with sqlite:///, {known} and name a host{guess}")


def _without_user(parts: SplitResult, environment: MutableMapping[str, str]) -> str:
    for value, variable in ((parts.username, "USERNAME"), (parts.password, "PASSWORD")):
        if value:
            environment.setdefault(f"MLFLOW_TRACKING_{variable}", unquote(value))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def store_file(uri: str) -> Path | None:
    """The file of an sqlite store; None for servers."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def artifact_folder(uri: str) -> Path | None:
    """Where the files of an sqlite store's runs lie: beside it. A server decides for itself."""
    file = store_file(uri)
    return file.with_name("mlartifacts") if file else None


def store_problems(uri: str) -> Iterator[str]:
    """A sentence for whatever keeps MLflow from opening a store, before anything is computed."""
    file = store_file(uri)
    spec = find_spec("mlflow")
    if spec and spec.origin and "%" in spec.origin and not uri.startswith("http"):
        yield (
            f"MLflow cannot make a database from a folder with % in its name, and it is installed in "
            f"{Path(spec.origin).parent}: rename that folder, or install elsewhere"
        )
    if file and file.is_dir():
        yield f"{VARIABLE}: {file} is a folder; name the file of a database in it"
    module, package, _ = DRIVERS.get(urlsplit(uri).scheme, ("", "", 0))
    if module and not find_spec(module):
        yield f"{VARIABLE}: needs a driver, `.venv/bin/pip install {package}`"
