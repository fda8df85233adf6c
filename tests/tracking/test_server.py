"""A server of the store that is away, comes back, or refuses.

Run alone: `.venv/bin/python -m pytest tests/tracking/test_server.py`.
"""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from interface import free_port

from wsgcn.tracking.server import wait_for_server, why_away


@contextmanager
def serving(code, seen=None, port=0):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if seen is not None:
                seen.append((self.path, self.headers.get("Authorization")))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "mysql+pymysql"])
def test_a_server_that_is_away_is_noticed_within_seconds(scheme):
    start = time.monotonic()
    assert why_away(f"{scheme}://127.0.0.1:{free_port()}/x") == "Connection refused"
    assert why_away(f"{scheme}://no-such-host.invalid/x")
    assert time.monotonic() - start < 15


@pytest.mark.parametrize("code", [200, 302, 400, 405, 429])
def test_whatever_answers_is_there(code):
    with serving(code) as uri:
        assert why_away(uri) is None


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_a_gateway_without_its_server_is_away(code):
    with serving(code) as uri:
        assert why_away(uri).startswith(str(code))


@pytest.mark.parametrize(
    "code, words", [(401, "refuses the credentials"), (403, "refuses the credentials"), (404, "no MLflow")]
)
def test_what_waiting_does_not_mend_is_an_error(code, words):
    with serving(code) as uri, pytest.raises(ValueError, match=words):
        wait_for_server(uri, print)


@pytest.mark.parametrize(
    "variables, header",
    [
        ({}, None),
        ({"USERNAME": "me", "PASSWORD": "x"}, "Basic bWU6eA=="),
        ({"TOKEN": "abc"}, "Bearer abc"),
    ],
)
def test_credentials_are_sent_as_mlflow_does(variables, header, monkeypatch):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
    with serving(200, seen := []) as uri:
        why_away(f"{uri}/team/")
    assert seen == [("/team/api/2.0/mlflow/experiments/search?max_results=1", header)]


def test_a_server_is_waited_for_and_both_is_said():
    port, said, pauses = free_port(), [], []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            server.append(serving(200, port=port))
            server[0].__enter__()

    server = []
    wait_for_server(f"http://127.0.0.1:{port}", said.append, sleep)
    server[0].__exit__(None, None, None)
    assert pauses == [1, 2, 4]
    assert [sentence.split(" (")[0] for sentence in said] == [
        f"the MLflow server http://127.0.0.1:{port} does not answer",
        f"the MLflow server http://127.0.0.1:{port} answers again",
    ]


def test_a_file_needs_no_server():
    wait_for_server("sqlite:///results/mlflow.db", pytest.fail)
