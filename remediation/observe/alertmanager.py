"""The client of a source's Alertmanager: what it lists as firing, and since when it runs.

API: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

from typing import Any

import orjson

from remediation.exceptions import ObserveError, SourceFailed
from remediation.observe import payload
from remediation.observe.base import Access
from remediation.observe.prometheus import headers_of, login_of, origin_of
from remediation.observe.session import Bounded


class Alertmanager:
    """One Alertmanager, for one thread; its connection is kept alive. Every method raises ObserveError, and within
    access.timeout_s."""

    def __init__(self, access: Access) -> None:
        """Connects to nothing yet. Raises AddressRefused."""
        self.access = access
        self.origin = origin_of(access.url)
        self._session = Bounded(
            origin=self.origin,
            timeout_s=access.timeout_s,
            max_bytes=access.max_bytes,
            verify=access.verify_tls and access.extra.get("ca_file", True),
            server="Alertmanager",
        )

    def __repr__(self) -> str:
        return f"Alertmanager({self.origin})"

    def __enter__(self) -> Alertmanager:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def alerts(self) -> payload.Delivery:
        """What fires now, muted or not; what cannot be kept is counted."""
        try:
            return payload.alertmanager_alerts(self._get("/api/v2/alerts"))
        except payload.PayloadError as error:
            raise ObserveError(f"{self.origin} lists alerts that cannot be read: {error}") from None

    def started_at(self) -> float:
        """Seconds since the epoch. Its alerts are in memory only: before this it knows of none."""
        found = self._get("/api/v2/status")
        try:
            started_at = payload.timestamp(found.get("uptime")) if isinstance(found, dict) else None
        except payload.PayloadError:
            started_at = None
        if started_at is None:
            raise self._not_understood()
        return started_at

    def _get(self, path: str) -> Any:
        response = self._session.request(
            "GET",
            self.access.url.strip().rstrip("/") + path,
            headers=headers_of(self.access, self.origin),
            auth=login_of(self.access),
        )
        try:
            return orjson.loads(response.content)
        except ValueError:
            raise self._not_understood() from None

    def _not_understood(self) -> SourceFailed:
        return SourceFailed(f"{self.origin} answers something that is not Alertmanager's; is this the right address?")
