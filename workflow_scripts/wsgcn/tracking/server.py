"""Whether the server of an MLflow store answers, and waiting until it does. Imports no MLflow."""

import base64
import http.client
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
    if scheme not in DRIVERS or not parts.hostname:  # a file, or a socket
        return None
    try:
        socket.create_connection((parts.hostname, parts.port or DRIVERS[scheme][2]), TIMEOUT_S).close()
    except OSError as error:
        return _reason(error)
    return None


def _why_no_answer(uri: str) -> str | None:
    request = urllib.request.Request(f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1")
    if header := _authorization():
        request.add_header("Authorization", header)
    try:
        context = _tls_context() if uri.startswith("https:") else None
        urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context).close()
    except urllib.error.HTTPError as error:
        if error.code in REFUSED and not _has_other_login():
            raise ValueError(
                f"the MLflow server {uri} refuses the credentials ({error.code}): set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            ) from None
        if error.code == 404:
            raise ValueError(f"{uri} answers, but is no MLflow server (404)") from None
        return f"{error.code} {error.reason}" if error.code >= 500 else None
    except http.client.HTTPException:
        raise ValueError(f"{uri} answers, but not as an MLflow server does") from None
    except (OSError, ValueError) as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise ValueError(f"the certificate of the MLflow server {uri} is not trusted: {_reason(error)}") from None
        return _reason(error)
    return None


def _tls_context() -> ssl.SSLContext:
    """As MLflow checks certificates. Raises ValueError where the file of certificates cannot be read."""
    variables = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    path = next(filter(None, map(os.environ.get, variables)), None)
    try:
        folder = path if path and os.path.isdir(path) else None
        context = ssl.create_default_context(cafile=None if folder else path, capath=folder)
    except OSError as error:
        raise ValueError(f"the certificates {path} cannot be read: {error.strerror}") from None
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _authorization() -> str | None:
    """The header that MLflow sends by its variables."""
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    if user and password:
        return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return f"Bearer {token}" if token else None


def _has_other_login() -> bool:
    """Whether MLflow may know credentials that are not in the variables read here."""
    plugins = ("MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_CLIENT_CERT_PATH", "NETRC")
    files = ("~/.mlflow/credentials", "~/.netrc")
    return any(map(os.environ.get, plugins)) or any(os.path.exists(os.path.expanduser(file)) for file in files)


def _reason(error: Exception) -> str:
    """What is wrong, in the system's words."""
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
