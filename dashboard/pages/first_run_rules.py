"""First run, third step: a rule of the library that has series here, what it says now, and its shadow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.pages import first_run_steps as steps
from dashboard.pages.answers import person
from remediation import judging, registry
from remediation.admin.outside import client_of
from remediation.backtest.run import fitting_playbook
from remediation.checks import plain
from remediation.exceptions import ConfigurationError, HomeostatError, ObserveError
from remediation.judging import Asked
from remediation.models import Playbook, Rule, Source, Step
from remediation.observe import promql
from remediation.observe.prometheus import Prometheus
from remediation.rules import installing, plan, ready
from remediation.rules.declared import Declared
from remediation.rules.names import Names, metrics_of
from remediation.rules.plan import Terms
from remediation.rules.ready import Shelf
from remediation.states import Autonomy, Code, Verdict

SHOWN = 8
"""Series that are named; the bad ones first."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A rule of the library. series: how many there are of what it asks for. kept: the same, saved already."""

    shelf: Shelf
    declared: Declared
    series: int
    kept: Rule | None

    @property
    def about(self) -> str:
        return about(self.declared)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One series and what the rule says of it now."""

    labels: dict[str, str]
    verdict: str
    value: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a rule says now. counts: (verdict, how many), the bad first. trouble: why it cannot be asked."""

    counts: tuple[tuple[str, int], ...] = ()
    rows: tuple[Seen, ...] = ()
    total: int = 0
    trouble: str = ""


def rules(request: HttpRequest, name: str) -> HttpResponse:
    """The rules of the library that have series at this source, by what they are for."""
    steps.may(request, "add_rule", "add_playbook")
    source = get_object_or_404(Source, name=name)
    found, trouble = list[Candidate](), ""
    try:
        found = list(_candidates(source))
    except Exception as error:  # noqa: BLE001 - whatever the source does, the page says it
        trouble = plain(error)
    shelves = [(shelf, [one for one in found if one.shelf == shelf]) for shelf in ready.shelves()]
    context = {
        "page": "first-run",
        "source": source,
        "trouble": trouble,
        "shelves": [pair for pair in shelves if pair[1]],
        "steps": steps.places(source, at=3),
    }
    return render(request, "first_run/rules.html", context)


def rule(request: HttpRequest, name: str, shelf: str, rule: str) -> HttpResponse:
    """One of them: what it says now; saved with a playbook in shadow, or switched off to be backtested first."""
    steps.may(request, "add_rule", "add_playbook")
    source = get_object_or_404(Source, name=name)
    found, declared = _find(source, shelf, rule)
    if request.GET.get("piece") == "preview":
        return render(request, "first_run/_preview.html", {"preview": _preview(source, declared)})
    kept = Rule.objects.filter(name=declared.name, source=source).first()
    if request.method == "POST":
        try:
            return _save(request, source, found, declared, kept)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        except HomeostatError as error:
            messages.error(request, str(error))
        return redirect(request.path)
    context = {
        "page": "first-run",
        "source": source,
        "shelf": found,
        "declared": declared,
        "about": about(declared),
        "kept": kept,
        "playbook": fitting_playbook(kept) if kept else None,
        "preview": _preview(source, declared),
        "verbs": _verbs(),
        "steps": steps.places(source, at=3),
    }
    return render(request, "first_run/rule.html", context)


def about(declared: Declared) -> str:
    """What it is about, where that is written without an incident's own values; else nothing."""
    text = declared.annotations.get("description", "")
    return "" if "{{" in text else text


def _find(source: Source, shelf: str, rule: str) -> tuple[Shelf, Declared]:
    try:
        found = ready.find(shelf)
    except ConfigurationError as error:
        raise Http404(str(error)) from error
    for declared in installing.prepare(found, Terms(source=source.name), leave_out=True).found.rules:
        if declared.name == rule:
            return found, declared
    raise Http404(f"{found.file} has no rule {rule!r} for {source}.")


def _candidates(source: Source) -> Iterator[Candidate]:
    """Raises ObserveError, ConfigurationError."""
    client, now = client_of(source), timezone.now().timestamp()
    there = set(Names(client, now=now).metrics())
    kept = {one.name: one for one in Rule.objects.filter(source=source)}
    counted: dict[str, int] = {}
    for shelf in ready.shelves():
        for declared in installing.prepare(shelf, Terms(source=source.name), leave_out=True).found.rules:
            asked = metrics_of(declared.meaning.query)
            if declared.further.conditions or declared.further.traffic or not there.issuperset(asked or [""]):
                continue
            if series := _series(client, declared.meaning.query, counted, now=now):
                yield Candidate(shelf=shelf, declared=declared, series=series, kept=kept.get(declared.name))


def _series(client: Prometheus, query: str, counted: dict[str, int], *, now: float) -> int:
    """Series of the selector that has the fewest: 0 when one of them has none. Each selector is asked once."""
    for item in promql.selectors(query):
        text = query[item.start : item.end]
        if text not in counted:
            try:
                answer = client.instant(f"count({text})", at=now)
            except ObserveError:
                counted[text] = 0
                continue
            counted[text] = int(answer.series[0].values[-1]) if answer.series else 0
    return min((counted[query[item.start : item.end]] for item in promql.selectors(query)), default=0)


def _preview(source: Source, declared: Declared) -> Preview:
    """Asked and judged as the loop would."""
    meaning = declared.meaning
    try:
        asked = Asked.of(source, meaning.query, meaning.detector, dict(meaning.params))
        verdicts, _matrix = judging.judge(asked, now=timezone.now())
    except Exception as error:  # noqa: BLE001 - whatever the source does, the page says it
        return Preview(trouble=plain(error))
    codes = [Code(code) for code in verdicts.codes.tolist()]
    order = (Verdict.BAD, Verdict.UNKNOWN, Verdict.OK)
    counts = Counter(code.verdict for code in codes)
    places = sorted(range(len(codes)), key=lambda at: order.index(codes[at].verdict))[:SHOWN]
    rows = (
        Seen(
            labels=dict(verdicts.labels[at]),
            verdict=codes[at].verdict.value,
            value=float(verdicts.values[at]),
            reason=verdicts.reasons[at],
        )
        for at in places
    )
    return Preview(
        counts=tuple((verdict.value, counts[verdict]) for verdict in order if counts[verdict]),
        rows=tuple(rows),
        total=len(codes),
    )


def _verbs() -> list[str]:
    """What a step can do without being told more."""
    found: list[str] = []
    for name, verb in registry.verbs().items():
        try:
            verb.parse({})
        except ConfigurationError:
            continue
        found.append(name)
    return sorted(found, key=lambda name: (name != "restart", name))


def _save(request: HttpRequest, source: Source, shelf: Shelf, declared: Declared, kept: Rule | None) -> HttpResponse:
    shadow = request.POST.get("then") != "backtest"
    with transaction.atomic():
        row = kept or _install(request, source, shelf, declared)
        if row.enabled != shadow and (shadow or kept is None):
            Rule.objects.filter(pk=row.pk).update(enabled=shadow)
            row.enabled = shadow
        playbook = _playbook(request, row) if shadow else None
        steps.keep(request, row, new=kept is None)
    if playbook is None:
        messages.info(request, _("%(rule)s is saved and switched off: try it on the past.") % {"rule": row.name})
        return redirect("backtest", pk=row.pk)
    said = _("%(rule)s watches now, and %(playbook)s records what it would do. Nothing is touched.")
    messages.success(request, said % {"rule": row.name, "playbook": playbook.name})
    return redirect("first-run")


def _install(request: HttpRequest, source: Source, shelf: Shelf, declared: Declared) -> Rule:
    """This one rule as installing its shelf would have it: installing the rest later goes on from here."""
    mine = installing.prepare(shelf, Terms(source=source.name), leave_out=True)
    only = replace(mine.found, rules=[one for one in mine.found.rules if one.name == declared.name])
    author = f"{person(request).username}, {mine.terms.owner}"[:150]
    plan.carry_out(only, plan.make(only, mine.terms), mine.terms, author=author, now=timezone.now())
    return Rule.objects.get(name=declared.name)


def _playbook(request: HttpRequest, row: Rule) -> Playbook:
    """One in shadow that is the rule's: where another fits already, this one goes before it, so that nothing acts."""
    fitting = fitting_playbook(row)
    if fitting is not None and fitting.autonomy == Autonomy.SHADOW:
        return fitting
    verb = request.POST.get("verb", "")
    if verb not in _verbs():
        raise ConfigurationError(_("Choose what the playbook would do."))
    alert = row.labels.get("alertname", row.name)
    playbook = Playbook(
        name=f"{verb}: {row.name}"[:100],
        matchers=f'alertname="{alert}"',
        autonomy=Autonomy.SHADOW,
        priority=fitting.priority + 1 if fitting else 0,
    )
    playbook.full_clean()
    playbook.save()
    step = Step(playbook=playbook, position=1, verb=verb)
    step.full_clean()
    step.save()
    playbook.keep_version(author=person(request).username, now=timezone.now())
    steps.keep(request, playbook)
    return playbook
