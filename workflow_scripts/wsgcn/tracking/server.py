"""Whether the server of an MLflow store answers, and waiting until it does. Imports no MLflow."""

import base64
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from wsgcn.tracking.address import DRIVERS

TIMEOUT_S = 5
MAX_PAUSE_S = 30

REFUSED = (401, 403)
"""HTTP's answers to wrong credentials."""


def wait_for_server(uri: str, report: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Return once the server answers. Reports a sentence when it does not, and when it does again.

    An sqlite store needs no server. Raises ValueError where it answers, but refuses the credentials or is no MLflow.
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
    """Why the server of a store does not answer; None where it does, or where there is none."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        return _why_no_answer(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in DRIVERS:
        return None
    try:
        socket.create_connection((parts.hostname, parts.port or DRIVERS[scheme][2]), TIMEOUT_S).close()
    except OSError as error:
        return _words(error)
    return None


def _why_no_answer(uri: str) -> str | None:
    request = urllib.request.Request(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1")
    own_login = bool(os.environ.get("MLFLOW_TRACKING_AUTH") or os.environ.get("MLFLOW_TRACKING_AWS_SIGV4"))
    if credentials := _credentials():
        request.add_header("Authorization", credentials)
    context = None
    if uri.startswith("https:"):
        context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
        if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context).close()
    except urllib.error.HTTPError as error:
        if error.code in REFUSED and not own_login:
            raise ValueError(
                f"the MLflow server {uri} refuses the credentials ({error.code}): set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from None
        if error.code == 404:
            raise ValueError(f"{uri} answers, but is no MLflow server (404)") from None
        return f"{error.code} {error.reason}" if error.code >= 500 else None
    except (OSError, ValueError) as error:  # ValueError: an answer that is not HTTP
        return _words(error)
    return None


def _credentials() -> str | None:
    """The header that MLflow sends by its variables."""
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user and password:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
