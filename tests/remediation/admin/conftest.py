"""A small Prometheus, and people with and without rights."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from remediation.models import Service, Source


class _Answers(BaseHTTPRequestHandler):
    """`bad(` is refused; `nothing` matches no series, `nobody` is no metric; all else gives one series of the value 1.
    Samples are a second apart."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        query, at = asked.get("query", [""])[0], float(asked.get("time", asked.get("end", ["0"]))[0])
        if "bad(" in query or asked.get("lookback_delta") == ["senseless"]:
            self.answer(400, {"status": "error", "errorType": "bad_data", "error": 'unclosed "(" <b>'})
        elif parts.path.endswith("/labels"):
            names = [] if asked.get("match[]") == ["nobody"] else ["__name__", "job"]
            self.answer(200, {"status": "success", "data": names})
        elif parts.path.endswith("/values"):
            found = ["up", "nobody_home"] if "__name__" in parts.path else ["cart", "checkout"]
            self.answer(200, {"status": "success", "data": found})
        else:
            self.series(query, at, many=parts.path.endswith("query_range") or query.endswith("]"))

    def series(self, query: str, at: float, *, many: bool) -> None:
        found: list[dict[str, Any]] = []
        if "nothing" not in query and "nobody" not in query:
            points = [[at - 1, "1"], [at, "1"]] if query.endswith("]") else [[at, "1"]]
            found = [{"metric": {"job": "cart"}} | ({"values": points} if many else {"value": points[-1]})]
        kind = "matrix" if many else "vector"
        self.answer(200, {"status": "success", "data": {"resultType": kind, "result": found}})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def prometheus_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def source(db: None, prometheus_url: str) -> Source:
    return Source.objects.create(name="prom", url=prometheus_url)


@pytest.fixture
def away(db: None) -> Source:
    return Source.objects.create(name="away", url="http://127.0.0.1:1")


@pytest.fixture
def cart(db: None) -> Service:
    return Service.objects.create(name="cart")


@pytest.fixture
def admin(db: None) -> Client:
    """Somebody of the group admin, who is no superuser."""
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(user)
    return client


def told(response: Any) -> list[str]:
    """The messages that the next page shows."""
    return [str(message) for message in response.context["messages"]] if response.context else []


def errors(response: Any) -> dict[str, list[str]]:
    """What the form says, by field; parameters by their own name; `form` for what is said above it."""
    form = response.context["adminform"].form
    found = {("form" if name == "__all__" else name): list(said) for name, said in form.errors.items()}
    return found | param_errors(form)


def param_errors(form: Any) -> dict[str, list[str]]:
    params = form.fields["params"].params.form
    return {f"params.{name}": list(said) for name, said in params.errors.items()} if params.is_bound else {}
