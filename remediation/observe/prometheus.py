"""The client of one source: PrometheusConnect, with bounded answers, alerts, rules, targets and warnings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _
from prometheus_api_client.prometheus_connect import PrometheusConnect
from urllib3.util import Retry

from remediation.exceptions import ConfigurationError, ObserveError, QueryRefused, SourceFailed
from remediation.observe import answers, inventory, payload, promql
from remediation.observe.answers import Answer
from remediation.observe.base import Access
from remediation.observe.inventory import SeenRule, SeenTarget
from remediation.observe.session import Bounded, refuse_link_local

__all__ = ["AddressRefused", "Prometheus", "SeenRule", "SeenTarget", "origin_of"]

LONG_QUERY = 2000
"""Characters from which a question is sent as a form: addresses may not be longer everywhere."""

GIVE_UP = 0.9
"""Part of the timeout after which the source is to give a query up: its own words, that this one query takes too long,
come before the request is broken off, which looks as if the source were away."""

FEATURES_FOR_S = 600.0
"""Seconds after which a server is asked again what it can do: it may have been updated."""


class AddressRefused(ConfigurationError, SourceFailed):
    """A source's address or credentials that are never tried."""


class Prometheus(PrometheusConnect):
    """One source, for one thread; its connection is kept alive. Every method raises ObserveError, and within
    access.timeout_s: the methods it inherits go through the same bounded session, but do not see warnings."""

    def __init__(self, access: Access) -> None:
        """Connects to nothing yet. Raises AddressRefused."""
        self.access = access
        self.origin = origin_of(access.url)
        super().__init__(
            access.url.strip().rstrip("/"),
            headers=headers_of(access, self.origin),
            auth=login_of(access),  # type: ignore[arg-type] # its own default is None
            retry=Retry(0),
            session=Bounded(
                origin=self.origin,
                timeout_s=access.timeout_s,
                max_bytes=access.max_bytes,
                verify=access.verify_tls and access.extra.get("ca_file", True),
            ),
        )
        self._knows_lookback = False
        self._features_until = 0.0

    def __repr__(self) -> str:
        return f"Prometheus({self.origin})"

    def instant(self, query: str, *, at: float, as_is: bool = False) -> Answer:
        """The newest sample of each series at a time (seconds since the epoch), none older than access.stale_after_s.

        as_is: the query went through `fresh` already. Raises QueryRefused with the source's own words."""
        return self._query("/api/v1/query", query, {"time": f"{at:.3f}"}, as_is=as_is)

    def fresh(self, query: str) -> str:
        """The query as this server has to be asked for it to leave stale samples out."""
        return query if self._lookback_is_known() else promql.fresh(query, stale_after_s=self.access.stale_after_s)

    def range(self, query: str, *, start: float, end: float, step_s: float) -> Answer:
        """As instant, at start, start + step_s, ... up to end."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step_s:.3f}"}
        return self._query("/api/v1/query_range", query, times)

    def alerts(self) -> payload.Delivery:
        """The alerts that fire now, as the source itself evaluated them; those that cannot be kept are counted."""
        items = answers.part(self._get("/api/v1/alerts"), "alerts", list, self.origin)
        try:
            return payload.prometheus_alerts(items)
        except payload.PayloadError as error:
            raise ObserveError(f"{self.origin} sends alerts that cannot be read: {error}") from None

    def rules(self) -> list[SeenRule]:
        """The alerting and recording rules of the source."""
        groups = answers.part(self._get("/api/v1/rules"), "groups", list, self.origin)
        with answers.reading(self.origin):
            return [inventory.rule(str(group["name"]), item) for group in groups for item in group["rules"]]

    def targets(self) -> list[SeenTarget]:
        """What the source scrapes."""
        found = answers.part(self._get("/api/v1/targets", {"state": "active"}), "activeTargets", list, self.origin)
        with answers.reading(self.origin):
            return [inventory.target(item) for item in found]

    def ping(self) -> float:
        """Seconds until it answered the simplest question: address, credentials and API are right."""
        begun = time.monotonic()
        self._get("/api/v1/query", {"query": "1"})
        return time.monotonic() - begun

    def build(self) -> Mapping[str, str]:
        """`version`, `revision` and the like, as the source states them."""
        found = answers.part(self._get("/api/v1/status/buildinfo"), "", dict, self.origin)
        return {str(name): str(value) for name, value in found.items()}

    def _query(self, path: str, query: str, params: dict[str, str], *, as_is: bool = False) -> Answer:
        stale = self.access.stale_after_s
        params = params | {"timeout": f"{max(round(self.access.timeout_s * 1000 * GIVE_UP), 1)}ms"}
        if self._lookback_is_known():
            return self._answer(path, params | {"query": query, "lookback_delta": f"{max(round(stale * 1000), 1)}ms"})
        fresh = query if as_is else promql.fresh(query, stale_after_s=stale)
        try:
            return self._answer(path, params | {"query": fresh})
        except QueryRefused:
            if fresh == query:
                raise
            self._answer(path, params | {"query": query})  # to be refused in words that fit what the person wrote
            raise ObserveError(f"{self.origin} cannot leave stale samples out of this query; simplify it") from None

    def _answer(self, path: str, params: dict[str, str]) -> Answer:
        return answers.read(self._ask(path, params), self.origin)

    def _lookback_is_known(self) -> bool:
        """Whether the server honours `lookback_delta` (Prometheus from 2.43 on): then it refuses a senseless one."""
        if time.monotonic() >= self._features_until:
            try:
                self._get("/api/v1/query", {"query": "1", "lookback_delta": "senseless"})
                self._knows_lookback = False
            except QueryRefused:
                self._knows_lookback = True
            self._features_until = time.monotonic() + FEATURES_FOR_S
        return self._knows_lookback

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return self._ask(path, params or {})

    def _ask(self, path: str, params: Mapping[str, str]) -> dict[str, Any]:
        form = len(params.get("query", "")) > LONG_QUERY
        try:
            response = self._session.request(
                "POST" if form else "GET",
                f"{self.url}{path}",
                headers=self.headers,
                auth=self.auth,
                params=None if form else params,
                data=params if form else None,
            )
        except SourceFailed:
            self._features_until = 0.0  # whatever answers next may be another version
            raise
        return answers.envelope(response.content, response.headers.get("Content-Type", ""), self.origin)


def origin_of(url: str) -> str:
    """Scheme, host and port, for messages. Raises AddressRefused for what is never requested."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressRefused(_("the address cannot be read; write it like http://127.0.0.1:9090")) from None
    if parts.scheme not in ("http", "https") or not host:
        raise AddressRefused(_("the address starts with http:// or https:// and a host, like http://127.0.0.1:9090"))
    if parts.username is not None or parts.query or parts.fragment:
        raise AddressRefused(
            _("the address holds no user name, query or fragment; credentials have fields of their own")
        )
    try:
        refuse_link_local(host)
    except ObserveError as error:
        raise AddressRefused(*error.args) from None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def login_of(access: Access) -> tuple[bytes, bytes] | None:
    """Bytes, since requests would take texts for Latin-1."""
    return (access.username.encode(), access.secret.encode()) if access.auth == "basic" else None


def headers_of(access: Access, origin: str) -> dict[str, str]:
    """Compression costs more than it saves where there is no network. extra["headers"]: a tenant's, for instance."""
    host = urlsplit(origin).hostname or ""
    near = host in ("localhost", "::1") or host.startswith("127.")
    headers = {"Accept": "application/json", "Accept-Encoding": "identity" if near else "gzip"}
    headers |= {str(name): str(value) for name, value in dict(access.extra.get("headers", {})).items()}
    if access.auth == "bearer":
        if not access.secret or not (access.secret.isascii() and access.secret.isprintable()) or " " in access.secret:
            raise AddressRefused(_("the bearer token is empty or holds spaces, line breaks or special characters"))
        headers["Authorization"] = f"Bearer {access.secret}"
    return headers
