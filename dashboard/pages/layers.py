"""Where the nodes of a dependency graph go: in layers, with few crossings. Pure, and the same for the same graph.

The usual four steps of a layered drawing (Sugiyama): links that close a circle are turned for the time being; a node's
layer is the longest way to it; links over several layers get a bend in each of them, and the order within the layers is
swept by the barycentre of the neighbours, keeping the order with the fewest crossings; then each node moves as near to
its neighbours as the order allows.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import fmean

Link = tuple[int, int]
Place = tuple[int, float]

SWEEPS = 12
SETTLINGS = 10
BEND = 0.3
"""The room a link takes where it passes a layer; a node takes 1."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """layers and rows: how many there are. places: node -> (layer, row), rows may be between two whole ones.
    bends: link -> the places that it passes on its way, in the order of the layers."""

    layers: int
    rows: float
    places: Mapping[int, Place]
    bends: Mapping[Link, tuple[Place, ...]]


@dataclass(kw_only=True)
class _Graph:
    """The graph with bends as nodes of their own: every link goes from one layer to the next."""

    order: list[list[int]]
    before: dict[int, list[int]]
    after: dict[int, list[int]]


@lru_cache(maxsize=64)
def layout(nodes: tuple[int, ...], links: tuple[Link, ...]) -> Layout:
    """nodes: numbers from 0 on, in the order that decides where nothing else does. links: (from, to); `to` goes into a
    later layer, unless the link closes a circle. Links of what is no node, or of a node to itself, are left out."""
    known = set(nodes)
    kept = [link for link in dict.fromkeys(links) if link[0] != link[1] and known.issuperset(link)]
    forward = _without_circles(nodes, kept)
    layer = _layers(nodes, forward)
    graph, chains = _with_bends(nodes, forward, layer)
    _sweep(graph)
    rows = _settle(graph)
    places = {node: (layer[node], rows[node]) for node in nodes}
    bends = {}
    for link in kept:
        chain = chains.get(link)
        turned = chain is None
        passed = chain if chain is not None else chains.get((link[1], link[0]), [])
        points = tuple((at, rows[bend]) for at, bend in passed)
        bends[link] = points[::-1] if turned else points
    return Layout(layers=len(graph.order), rows=max(rows.values(), default=-1) + 1, places=places, bends=bends)


def _without_circles(nodes: Sequence[int], links: Iterable[Link]) -> list[Link]:
    """The links, those that lead back to a node one is just coming from turned round."""
    follow: dict[int, list[int]] = defaultdict(list)
    for begin, end in links:
        follow[begin].append(end)
    done: set[int] = set()
    forward: dict[Link, None] = {}
    for root in nodes:
        if root in done:
            continue
        # Depth first without recursion: a chain of dependencies may be longer than Python's stack.
        way, open_ = [(root, iter(follow[root]))], {root}
        while way:
            node, rest = way[-1]
            other = next(rest, None)
            if other is None:
                way.pop()
                open_.discard(node)
                done.add(node)
            elif other in open_:
                forward[(other, node)] = None
            else:
                forward[(node, other)] = None
                if other not in done:
                    way.append((other, iter(follow[other])))
                    open_.add(other)
    return list(forward)


def _layers(nodes: Sequence[int], links: Iterable[Link]) -> dict[int, int]:
    """The longest way to each node, in links."""
    follow: dict[int, list[int]] = defaultdict(list)
    missing = dict.fromkeys(nodes, 0)
    for one, other in links:
        follow[one].append(other)
        missing[other] += 1
    layer = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not missing[node]]
    for node in ready:  # grows while it is read
        for other in follow[node]:
            layer[other] = max(layer[other], layer[node] + 1)
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return layer


def _with_bends(
    nodes: Sequence[int], links: Iterable[Link], layer: Mapping[int, int]
) -> tuple[_Graph, dict[Link, list[tuple[int, int]]]]:
    """Each link cut into pieces of one layer. Bends have negative numbers."""
    order: list[list[int]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in nodes:
        order[layer[node]].append(node)
    graph = _Graph(order=order, before=defaultdict(list), after=defaultdict(list))
    chains: dict[Link, list[tuple[int, int]]] = {}
    bend = 0
    for one, other in links:
        last, chain = one, []
        for at in range(layer[one] + 1, layer[other]):
            bend -= 1
            order[at].append(bend)
            chain.append((at, bend))
            graph.after[last].append(bend)
            graph.before[bend].append(last)
            last = bend
        graph.after[last].append(other)
        graph.before[other].append(last)
        chains[(one, other)] = chain
    return graph, chains


def _sweep(graph: _Graph) -> None:
    """Sort each layer by the middle of its neighbours, there and back, and keep the best order seen."""
    best, fewest = [list(one) for one in graph.order], _crossings(graph)
    for number in range(SWEEPS):
        if not fewest:
            break
        there = number % 2 == 0
        neighbours = graph.before if there else graph.after
        layers = graph.order[1:] if there else graph.order[-2::-1]
        beside = graph.order[0] if there else graph.order[-1]
        for one in layers:
            at = {node: place for place, node in enumerate(beside)}
            middle = {
                node: fmean(at[other] for other in neighbours[node]) if neighbours[node] else place
                for place, node in enumerate(one)
            }
            one.sort(key=middle.__getitem__)
            beside = one
        found = _crossings(graph)
        if found < fewest:
            best, fewest = [list(one) for one in graph.order], found
    graph.order = best


def _crossings(graph: _Graph) -> int:
    """How many pairs of links cross, over all neighbouring layers."""
    total = 0
    for one, other in pairwise(graph.order):
        at = {node: place for place, node in enumerate(other)}
        ends: list[int] = []
        for node in one:
            mine = sorted(at[to] for to in graph.after[node])
            total += sum(len(ends) - bisect_right(ends, to) for to in mine)
            for to in mine:
                insort(ends, to)
    return total


def _settle(graph: _Graph) -> dict[int, float]:
    """A row for each node: near the middle of its neighbours, in the order of its layer, with room for each."""
    rows = {node: float(place) for one in graph.order for place, node in enumerate(one)}
    for number in range(SETTLINGS):
        for one in graph.order if number % 2 else graph.order[::-1]:
            wanted = [_middle(graph, node, rows) for node in one]
            for node, row in zip(one, _apart(wanted, [1.0 if node > -1 else BEND for node in one]), strict=True):
                rows[node] = row
    least = min(rows.values(), default=0.0)
    return {node: round(row - least, 2) for node, row in rows.items()}


def _middle(graph: _Graph, node: int, rows: Mapping[int, float]) -> float:
    beside = [rows[other] for other in (*graph.before[node], *graph.after[node])]
    return fmean(beside) if beside else rows[node]


def _apart(wanted: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """The nearest rows to those wanted that keep the order and leave each its room: blocks of equal shift, merged while
    they overlap (isotonic regression by pooling)."""
    room = [0.0]
    for one, other in pairwise(sizes):
        room.append(room[-1] + (one + other) / 2)
    blocks: list[tuple[float, int]] = []  # the shift its members would like on average, and how many they are
    for at, row in enumerate(wanted):
        mean, count = row - room[at], 1
        while blocks and blocks[-1][0] > mean:
            other, more = blocks.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    return [shift + space for shift, space in zip(shifts, room, strict=True)]
