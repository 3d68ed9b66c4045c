"""Which pieces are on somebody's page, in which language, and the newest rendering of each.

Browsers on the same page in the same language show the same set of pieces, a view. Work is done per view, of which
there are few, and not per browser.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings

from dashboard.live.fragments import Rendered, kind_of, one_look, render, topics_of
from dashboard.live.socket import Place, Socket
from dashboard.live.wire import Frame

View = frozenset[Place]
NOTHING: View = frozenset()


@dataclass(kw_only=True)
class Kept:
    """The newest rendering of a piece that somebody shows. `frame` is the number of the frame that carried it."""

    piece: Rendered | None
    frame: int
    looked_at: float


class Shown:
    """Lives in one event loop; only `render_places` is called elsewhere."""

    def __init__(self) -> None:
        self.views: dict[View, set[Socket]] = {}
        self.kept: dict[Place, Kept] = {}
        self._wanted: Counter[Place] = Counter()  # in how many views
        self._by_topic: dict[str, set[Place]] = defaultdict(set)

    def move(self, socket: Socket, view: View) -> None:
        """The socket shows this now, and what it showed before no longer. What nobody shows is forgotten."""
        before, socket.view = socket.view, view
        if before == view:
            return
        if view:
            if view not in self.views:
                self._want(view)
            self.views.setdefault(view, set()).add(socket)
        if before:
            self.views[before].discard(socket)
            if not self.views[before]:
                del self.views[before]
                self._forget(before)

    def missing(self, view: View) -> list[Place]:
        return [place for place in view if place not in self.kept]

    def touched(self, topics: Iterable[str]) -> set[Place]:
        """What tells of one of these."""
        found: set[Place] = set()
        for topic in topics:
            found |= self._by_topic.get(topic, set())
        return found

    def due(self, now: float) -> list[Place]:
        """What was not looked at for its time: it may have moved without a notice, or its notice was lost."""
        return [place for place, kept in self.kept.items() if now - kept.looked_at >= _every_s(place)]

    def take(self, asked: Iterable[Place], found: Mapping[Place, Rendered]) -> list[tuple[Place, int]]:
        """Keep what was rendered. Those that look different now, with the frame that had them before."""
        now = time.monotonic()
        changed: list[tuple[Place, int]] = []
        for place in asked:
            piece, before = found.get(place), self.kept.get(place)
            if not self._wanted[place]:  # everybody left while it was made
                continue
            if before is None:
                self.kept[place] = Kept(piece=piece, frame=0, looked_at=now)
                continue
            before.looked_at = now
            if piece is not None and (before.piece is None or before.piece.version != piece.version):
                changed.append((place, before.frame))
                before.piece = piece
        return changed

    def part(self, place: Place, after: int | None) -> str:
        """A piece as it stands in a frame. The place is kept and exists."""
        kept = self.kept[place]
        assert kept.piece is not None  # noqa: S101 - callers leave out what is gone
        piece = kept.piece
        return encoded(
            {"key": piece.key, "html": piece.html, "version": piece.version, "v": kept.frame, "after": after}
        )

    def write(self, parts: Mapping[Place, str], frame: Callable[[list[str]], Frame]) -> None:
        """One frame for each set of changed pieces that some view holds, to everybody who shows it."""
        made: dict[View, Frame] = {}
        for view, sockets in self.views.items():
            same = view.intersection(parts)
            if not same:
                continue
            if same not in made:
                made[same] = frame([parts[place] for place in sorted(same)])
            for socket in sockets:
                if socket.joined:
                    socket.put(made[same])

    def _want(self, view: View) -> None:
        for place in view:
            self._wanted[place] += 1
            for topic in topics_of(place[1]):
                self._by_topic[topic].add(place)

    def _forget(self, view: View) -> None:
        for place in view:
            self._wanted[place] -= 1
            if self._wanted[place]:
                continue
            del self._wanted[place]
            self.kept.pop(place, None)
            for topic in topics_of(place[1]):
                self._by_topic[topic].discard(place)
                if not self._by_topic[topic]:
                    del self._by_topic[topic]


def view_of(language: str, keys: Iterable[str]) -> View:
    """Keys that mean nothing are left aside."""
    return frozenset((language, key) for key in keys if kind_of(key))


def render_places(places: Iterable[Place]) -> dict[Place, Rendered]:
    """Each once, by language. For a thread: this reads the database."""
    by_language: dict[str, list[str]] = defaultdict(list)
    for language, key in places:
        by_language[language].append(key)
    found: dict[Place, Rendered] = {}
    with one_look():
        for language, keys in by_language.items():
            found |= {(language, key): piece for key, piece in render(keys, language).items()}
    return found


def known_language(code: object) -> str:
    """A language that pages are made in, or ""."""
    return code if isinstance(code, str) and code in dict(settings.LANGUAGES) else ""


def encoded(frame: Mapping[str, object]) -> str:
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False)


def _every_s(place: Place) -> float:
    kind = kind_of(place[1])
    return math.inf if kind is None else kind.looked_at_every_s
