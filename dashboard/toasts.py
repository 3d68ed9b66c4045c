"""What a page says after a form, said in the tab that the form was in.

Django shows such a message on whichever page is made next, which may be another tab's. Here a message belongs to the
page that the form's answer leads to: others leave it alone, and one that nobody comes for is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpResponseBase

FORGOTTEN_AFTER_S = 60


class TabStorage(FallbackStorage):
    """Where a message leads is kept in its `extra_tags`, as "moment path"; templates show `level_tag` only."""

    if TYPE_CHECKING:  # what the stubs of Django leave out
        _queued_messages: list[Message]
        _loaded_messages: list[Message]

        def _prepare_messages(self, messages: list[Message]) -> None: ...
        def _store(self, messages: list[Message], response: HttpResponseBase) -> Any: ...

    _others: list[Message] | None = None
    """Those of other pages, once this page's were read."""

    def __len__(self) -> int:
        return len([one for one in self._loaded_messages if self._is_here(one)]) + len(self._queued_messages)

    def __iter__(self) -> Iterator[Message]:
        """Those for this page. The others stay for theirs."""
        self.used = True
        if self._others is None:
            self._others = [one for one in self._loaded_messages if not self._is_here(one)]
        here = [one for one in self._loaded_messages if self._is_here(one)] + self._queued_messages
        self._loaded_data, self._queued_messages = here, []
        return iter(here)

    def _is_here(self, message: Message) -> bool:
        return _address(message)[1] in ("", self.request.path) and _is_fresh(message)

    def update(self, response: HttpResponseBase) -> Any:
        """Keep what nobody has read, addressed to where this answer leads; what was to be read here goes along."""
        leads = response.headers.get("Location", "")
        if self._others is None and not self.added_new and not leads:
            return None
        self._prepare_messages(self._queued_messages)
        old, new = self._loaded_messages if self._others is None else self._others, self._queued_messages
        if not (old or new or self._loaded_messages):
            return None
        path = urlsplit(urljoin(self.request.path, leads)).path
        for message in [*new, *(one for one in old if leads and self._is_here(one))]:
            message.extra_tags = f"{time.time():.0f} {path}"
        return self._store([one for one in (*old, *new) if _is_fresh(one)], response)


def _is_fresh(message: Message) -> bool:
    return time.time() - _address(message)[0] < FORGOTTEN_AFTER_S


def _address(message: Message) -> tuple[float, str]:
    """When it was said and for which page; from before there were addresses: now, for any."""
    moment, _, path = (message.extra_tags or "").partition(" ")
    return (float(moment), path) if moment.isdecimal() and path.startswith("/") else (time.time(), "")
