"""Which backend an instance looks like, by the series of its source."""

from __future__ import annotations

import pytest

from dashboard.pages import first_run_backends
from dashboard.pages.first_run_backends import Clues
from remediation.exceptions import ObserveError
from remediation.observe.answers import Answer
from remediation.observe.discovery import FoundInstance

WEB = FoundInstance(name="web", labels={"job": "web", "instance": "10.0.0.1:80"}, up=True)


def supervised(host: str, group: str, name: str) -> dict[str, str]:
    return {
        "__name__": "node_supervisord_up",
        "job": "node",
        "instance": f"{host}:9100",
        "group": group,
        "name": name,
    }


def proxied(instance: str, proxy: str) -> dict[str, str]:
    return {"__name__": "haproxy_server_status", "job": "web", "instance": instance, "proxy": proxy}


@pytest.mark.parametrize(
    ("series", "backend", "params"),
    [
        ((supervised("10.0.0.1", "shop", "web"),), "supervisord", {"process": "shop:web"}),
        ((supervised("10.0.0.1", "web", "web-1"), supervised("10.0.0.1", "web", "web-2")), "supervisord", {}),
        ((supervised("10.0.0.2", "shop", "web"),), "", {}),
        ((supervised("10.0.0.1", "shop", "queue"),), "", {}),
        ((proxied("10.0.0.1:80", "shop"), proxied("10.0.0.1:80", "shop")), "haproxy", {"backend": "shop"}),
        ((proxied("10.0.0.1:80", "shop"), proxied("10.0.0.1:80", "api")), "haproxy", {}),
        ((proxied("10.0.0.1:81", "shop"),), "", {}),
        (({"__name__": "up", "job": "web", "instance": "10.0.0.1:80"},), "", {}),
        ((), "", {}),
    ],
)
def test_an_instance_looks_like_what_its_own_series_tell(
    series: tuple[dict[str, str], ...], backend: str, params: dict[str, str]
) -> None:
    found = Clues(series=series).about(WEB)
    assert (found.backend if found else "", dict(found.params) if found else {}) == (backend, params)


class Refusing:
    def instant(self, query: str, *, at: float) -> Answer:
        raise ObserveError("no such question")


def test_a_source_that_refuses_the_question_leaves_no_clue() -> None:
    assert first_run_backends.look(Refusing(), now=0.0) == Clues()
