"""The service map: what depends on what, and how a fault reaches those that need the one at fault.

A dependant stands left of what it needs. Of few services all are shown; of many those that are not well and what is
directly beside them, or the teams, or one team. What was chosen is in the address, and what is left out is said.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.live.fragments import Context, Fragment, add
from dashboard.pages import health
from dashboard.pages.layers import Place, layout
from dashboard.pages.words import state_word

FEW = 60
"""Up to so many services the whole map is what one sees first."""
NODES = 150
"""More than this nobody reads, and no layout helps: the worst are shown, and how many there are."""

ALL, TROUBLE, TEAMS, TEAM = "all", "trouble", "teams", "team="
AT_FAULT = frozenset({"firing", "repairing"})
"""What depends on one of these is affected."""

NODE_WIDTH, NODE_HEIGHT = 176, 42
COLUMN, ROW = 250, 54
LONE_COLUMN = 188
LONE_PER_ROW = 5
EDGE = 6


@dataclass(frozen=True, kw_only=True)
class Node:
    """A box of the map, at its place in pixels. `tone` is a state; `about` says everything to those who do not see.

    For the list of narrow screens: `layer`, -1 for what stands alone, and what it `needs` as title, tone and address.
    """

    x: float
    y: float
    tone: str
    title: str
    word: str
    about: str
    href: str
    affected: bool = False
    layer: int = -1
    needs: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """From what is needed to what needs it: the way a fault goes. Calm lines have the tone "off"."""

    path: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class Drawing:
    width: float
    height: float
    nodes: tuple[Node, ...]
    lines: tuple[Line, ...]
    said: str
    """What is shown of how many, where it is not everything."""
    empty: str = ""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A node before it has a place."""

    title: str
    tone: str
    word: str
    about: str
    href: str
    affected: bool = False


def scopes(seen: health.Seen) -> tuple[str, ...]:
    """What may be chosen, the default first."""
    many = len(seen.services) > FEW
    whole = (ALL,) if len(seen.services) <= NODES else ()
    teams = (TEAMS,) if len({one.team for one in seen.services.values()}) > 1 else ()
    return (TROUBLE, *teams, *whole) if many else (*whole, TROUBLE, *teams)


def affected_by(seen: health.Seen) -> dict[int, int]:
    """Service -> the nearest one at fault that it needs, directly or through others; not those that are at fault."""
    dependants: dict[int, list[int]] = defaultdict(list)
    for one, others in seen.needs.items():
        for other in others:
            dependants[other].append(one)
    reached = {pk: pk for pk, one in seen.services.items() if one.state in AT_FAULT}
    waiting = list(reached)
    for pk in waiting:  # grows while it is read: breadth first
        for one in dependants[pk]:
            if one not in reached:
                reached[one] = reached[pk]
                waiting.append(one)
    return {one: cause for one, cause in reached.items() if one != cause}


def contexts(arguments: Sequence[str]) -> dict[str, Context | None]:
    seen = health.everything()
    return {argument: {"map": _drawn(seen, argument)} for argument in arguments}


def _drawn(seen: health.Seen, scope: str) -> Drawing:
    if scope == TEAMS:
        return _teams(seen)
    affected = affected_by(seen)
    wanted = _wanted(seen, scope)
    worst = sorted(wanted, key=lambda pk: (wanted[pk], health.ORDER.index(seen.services[pk].state)))
    chosen = set(worst[:NODES])
    nodes = {pk: _spot(one, seen, affected) for pk, one in seen.services.items() if pk in chosen}
    links = {
        (pk, other): _flow(seen.services[other], other in affected)
        for pk in nodes
        for other in seen.needs.get(pk, ())
        if other in chosen
    }
    return _placed(nodes, links, _said(len(chosen), len(wanted), len(seen.services)), _why_empty(seen, scope))


def _wanted(seen: health.Seen, scope: str) -> dict[int, int]:
    """The services of a scope, each with a rank: what it is about comes before what is only beside it."""
    if scope.startswith(TEAM):
        own = {pk for pk, one in seen.services.items() if one.team == scope.removeprefix(TEAM)}
    elif scope == TROUBLE:
        own = {pk for pk, one in seen.services.items() if one.state not in ("ok", "frozen")}
    else:
        own = set(seen.services)
    beside = {other for pk in own for other in seen.needs.get(pk, ())}
    beside |= {pk for pk, others in seen.needs.items() if own.intersection(others)}
    return dict.fromkeys(own, 0) | dict.fromkeys(beside - own, 1)


def _spot(one: health.Health, seen: health.Seen, affected: Mapping[int, int]) -> Spot:
    own = word = state_word(one.state)
    cause = seen.services[affected[one.id]].title if one.id in affected else ""
    if cause:
        own = _("%(state)s, affected by %(cause)s") % {"state": own, "cause": cause}
    if cause and one.state in ("ok", "frozen"):
        word = _("Affected by %(cause)s") % {"cause": cause}
    return Spot(
        title=one.title,
        tone=one.state,
        word=word,
        about=f"{one.title}: {own}. {one.because}".strip(),
        href=reverse("service", args=[one.name]),
        affected=bool(cause),
    )


def _flow(needed: health.Health, affected: bool) -> str:
    """What comes along a line from the service that is needed."""
    if needed.state in AT_FAULT or needed.state == "unknown":
        return needed.state
    return "pending" if affected else "off"


def _teams(seen: health.Seen) -> Drawing:
    """A node for each team, with the worst state of its services and how many there are in it."""
    numbers = {team: at for at, team in enumerate(sorted({one.team for one in seen.services.values()}))}
    affected = affected_by(seen)
    members: dict[str, list[health.Health]] = defaultdict(list)
    for one in seen.services.values():
        members[one.team].append(one)
    nodes = {numbers[team]: _team_spot(team, members[team]) for team in numbers}
    links: dict[tuple[int, int], str] = {}
    rank = (*health.ORDER, "off")
    for pk, others in seen.needs.items():
        for other in others:
            one, needed = seen.services[pk], seen.services[other]
            link = (numbers[one.team], numbers[needed.team])
            flow = _flow(needed, other in affected)
            links[link] = min(links.get(link, "off"), flow, key=rank.index)
    return _placed(nodes, links, "", _why_empty(seen, TEAMS))


def _team_spot(team: str, members: Iterable[health.Health]) -> Spot:
    counts = Counter(one.state for one in members)
    worst = next(state for state in health.ORDER if counts[state])
    total = counts.total()
    word = ngettext("%(count)s service", "%(count)s services", total) % {"count": total}
    if worst != "ok":
        word = f"{counts[worst]} / {total} {state_word(worst)}"
    title = team or _("No team")
    href = "/?" + urlencode({"view": "map", "show": f"{TEAM}{team}"})
    return Spot(title=title, tone=worst, word=word, about=f"{title}: {word}", href=href)


def _said(shown: int, wanted: int, total: int) -> str:
    numbers = {"shown": shown, "wanted": wanted, "total": total}
    if shown < wanted:
        return _("The worst %(shown)s of %(wanted)s, of %(total)s services in all") % numbers
    return _("%(shown)s of %(total)s services") % numbers if shown < total else ""


def _why_empty(seen: health.Seen, scope: str) -> str:
    if not seen.services:
        return _("No services yet.")
    return _("All services are well.") if scope == TROUBLE else _("No service belongs here.")


def _placed(nodes: Mapping[int, Spot], links: Mapping[tuple[int, int], str], said: str, empty: str) -> Drawing:
    """What is linked goes into layers; what stands alone goes below, in rows."""
    linked = {pk for link in links if link[0] != link[1] for pk in link}
    plan = layout(tuple(pk for pk in nodes if pk in linked), tuple(links))
    at = {pk: (EDGE + layer * COLUMN, EDGE + row * ROW) for pk, (layer, row) in plan.places.items()}
    top = EDGE + plan.rows * ROW + (18 if linked else 0)
    for number, pk in enumerate(pk for pk in nodes if pk not in linked):
        at[pk] = (EDGE + number % LONE_PER_ROW * LONE_COLUMN, top + number // LONE_PER_ROW * ROW)
    lines = [
        Line(path=_path(plan.places[needed], plan.places[one], plan.bends[(one, needed)]), tone=tone)
        for (one, needed), tone in links.items()
        if one != needed
    ]
    lines.sort(key=lambda line: line.tone != "off")  # what matters is drawn above what does not
    drawn = sorted(at.items(), key=lambda item: item[1])  # the keyboard goes from layer to layer
    needs: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    for one, needed in links:
        if one != needed:
            needs[one].append((nodes[needed].title, nodes[needed].tone, nodes[needed].href))
    layer_of = {pk: layer for pk, (layer, _row) in plan.places.items()}
    boxes = [
        Node(x=x, y=round(y, 1), layer=layer_of.get(pk, -1), needs=tuple(sorted(needs[pk])), **vars(nodes[pk]))
        for pk, (x, y) in drawn
    ]
    width = max((box.x for box in boxes), default=0) + NODE_WIDTH + EDGE
    height = max((box.y for box in boxes), default=0) + NODE_HEIGHT + EDGE
    return Drawing(
        width=width, height=height, nodes=tuple(boxes), lines=tuple(lines), said=said, empty="" if boxes else empty
    )


def _path(needed: Place, one: Place, bends: Sequence[Place]) -> str:
    """A curve from the left edge of what is needed to the right edge of what needs it, through its bends."""
    begin = (EDGE + needed[0] * COLUMN, EDGE + needed[1] * ROW + NODE_HEIGHT / 2)
    end = (EDGE + one[0] * COLUMN + NODE_WIDTH, EDGE + one[1] * ROW + NODE_HEIGHT / 2)
    points = [begin]
    for layer, row in reversed(bends):
        y = EDGE + row * ROW + NODE_HEIGHT / 2
        points += [(EDGE + layer * COLUMN + NODE_WIDTH, y), (EDGE + layer * COLUMN, y)]
    points.append(end)
    path = f"M{begin[0]:g} {begin[1]:.1f}"
    for number, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        middle = (x + to_x) / 2
        straight = number % 2 == 1  # across the width of a layer it passes
        path += f"H{to_x:g}" if straight else f"C{middle:g} {y:.1f} {middle:g} {to_y:.1f} {to_x:g} {to_y:.1f}"
    return path


add(
    Fragment(
        name="map",
        template="overview/_map.html",
        contexts=contexts,
        topics=("service", "catalogue"),
        every_s=5,
        kept=True,
    )
)
