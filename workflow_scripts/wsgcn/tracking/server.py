"""Whether the server of an MLflow store answers, and waiting until it does."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from wsgcn.tracking.address import DRIVERS

TIMEOUT_S = 5
MAX_PAUSE_S = 30

REFUSED = (401, 403)
"""HTTP's answers to wrong credentials."""


def wait_for_server(uri: str, report: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Return once the server answers. Reports a sentence when it does not, and when it does again.

    An sqlite store needs no server. Raises ValueError as `why_away`.
    """
    pause, away = 1.0, False
    while why := why_away(uri):
        if not away:
            report(f"the MLflow server {uri} does not answer ({why}): waiting for it, Ctrl-C ends this")
        away = True
        sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_S)
    if away:
        report(f"the MLflow server {uri} answers again")


def why_away(uri: str) -> str | None:
    """Why the server of a store does not answer; None where it does, or where there is none.

    Raises ValueError where waiting does not help: it refuses the credentials, its certificate is not trusted, or it is
    no MLflow server.
    """
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        return _why_no_answer(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in DRIVERS or not parts.hostname:  # a file, or a socket
        return None
    try:
        socket.create_connection((parts.hostname, parts.port or DRIVERS[scheme][2]), TIMEOUT_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _why_no_answer(uri: str) -> str | None:
    """As `why_away`, asked as MLflow asks: with its credentials, proxies and certificates, but once."""
    try:
        from mlflow.exceptions import MlflowException  # late, since it takes seconds
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request
    except ImportError:  # an environment for Snakemake alone; its jobs have another one
        return None
    options = {"max_retries": 0, "raise_on_status": False, "timeout": TIMEOUT_S, "params": {"max_results": 1}}
    try:
        answer = http_request(get_default_host_creds(uri), "/api/2.0/mlflow/experiments/search", "GET", **options)
    except MlflowException as error:
        causes = list(_causes(error))
        if untrusted := [cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError)]:
            raise ValueError(f"the certificate of the MLflow server {uri} is not trusted: {untrusted[0]}") from None
        return next((cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror), str(error))
    if answer.status_code in REFUSED:
        raise ValueError(
            f"the MLflow server {uri} refuses the credentials ({answer.status_code}): set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if answer.status_code == 404:
        raise ValueError(f"{uri} answers, but is no MLflow server (404)")
    return f"{answer.status_code} {answer.reason}" if answer.status_code >= 500 else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, what it came from, and so on."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
