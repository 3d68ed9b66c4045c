"""An incident as Markdown, to begin a post-mortem with: what happened, what was decided and done, by whom, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from dashboard.pages import plans, story
from dashboard.pages.markdown import Raw, fenced, inline, quoted, row
from dashboard.pages.plans import PlanView
from dashboard.pages.words import expected, number, span, state_word, verb_word
from remediation.models import Decision, Incident
from remediation.redact import redact

LINES = 1000
"""Lines of the timeline; of more the first and the last are written."""


@require_GET
def post_mortem(request: HttpRequest, pk: int) -> HttpResponse:
    related = ("rule", "rule_version", "service", "acknowledged_by", "taken_by", "decision")
    found = get_object_or_404(Incident.objects.select_related(*related), pk=pk)
    place = request.build_absolute_uri(reverse("incident", args=[pk]))
    picture = request.build_absolute_uri(reverse("incident-png", args=[pk]))
    text = "\n".join(_written(found, place=place, picture=picture, now=timezone.now())) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="incident-{pk}.md"', "Cache-Control": "no-store"}
    return HttpResponse(text, content_type="text/markdown; charset=utf-8", headers=headers)


def _written(found: Incident, *, place: str, picture: str, now: datetime) -> Iterator[str]:
    yield f"# {inline(found.title)}"
    yield ""
    yield from _head(found, place=place, now=now)
    yield ""
    yield f"![{inline(_('Chart of the series that fired'))}]({picture})"
    yield from _to_write()
    yield from _condition(found)
    yield from _timeline(found)
    yield from _decision(getattr(found, "decision", None))
    yield from _repairs(found)
    yield from _notes(found)


def _head(found: Incident, *, place: str, now: datetime) -> Iterator[str]:
    acts = [one.effect_started_at for one in found.remediations.all() if one.effect_started_at]
    by = f" ({found.acknowledged_by.username})" if found.acknowledged_by else ""
    over = _("not yet") if found.open else _moment(found.resolved_at)
    yield row(_("Incident"), Raw(f"[{found.pk}]({place})"))
    yield "| --- | --- |"
    yield row(_("Service"), found.service or _("none"))
    yield row(_("Severity"), found.severity)
    yield row(_("State"), state_word(found.state))
    yield row(_("Rule"), f"{found.rule.name}, {_('version')} {found.rule_version.number}")
    yield row(_("Detected"), _moment(found.opened_at))
    yield row(_("Fired"), _moment(found.fired_at))
    yield row(_("Acknowledged"), f"{_moment(found.acknowledged_at)}{by}")
    yield row(_("First effect"), _moment(min(acts) if acts else None))
    yield row(_("Recovered"), over)
    yield row(_("Lasted"), span((found.until(now) - found.opened_at).total_seconds()))
    if found.needs_person or found.attention:
        yield row(_("For a person"), found.attention)


def _to_write() -> Iterator[str]:
    """What no machine knows."""
    for title in (_("Summary"), _("Impact"), _("Cause"), _("What we will change")):
        yield from ("", f"## {title}", "", f"_{_('To be written.')}_")


def _condition(found: Incident) -> Iterator[str]:
    body = found.rule_version.body
    band = expected(found.lower, found.upper)
    yield from ("", f"## {_('What fired')}", "")
    yield inline(f"{_('Value')} {number(found.value)}" + (f", {_('expected')} {band}" if band else ""))
    yield ""
    yield inline(found.reason)
    yield ""
    yield fenced(str(body.get("query", "")))
    yield ""
    yield from (f"- {inline(name)} = {inline(value)}" for name, value in sorted(found.labels.items()))


def _timeline(found: Incident) -> Iterator[str]:
    entries = story.of_incident(found)
    left_out = max(0, len(entries) - LINES)
    yield from ("", f"## {_('Timeline')}", "", row(_("Time (UTC)"), _("What"), _("Who"), _("Why")))
    yield "| --- | --- | --- | --- |"
    for at, entry in enumerate(entries):
        if LINES // 2 <= at < LINES // 2 + left_out:
            if at == LINES // 2:
                yield row("", _("%(count)s lines are left out") % {"count": left_out}, "", "")
            continue
        yield row(_moment(entry.at), entry.title, entry.actor or "Homeostat", redact(entry.text))


def _decision(decision: Decision | None) -> Iterator[str]:
    if decision is None:
        return
    yield from ("", f"## {_('Decision')}", "")
    yield inline(f"{_moment(decision.at)}: {redact(decision.summary)}")
    lines = decision.body.get("playbooks") or []
    if lines:
        yield from ("", _("Playbooks that were considered:"), "")
        yield from (f"- {inline(line)}" for line in lines)


def _repairs(found: Incident) -> Iterator[str]:
    rows = found.remediations.select_related(
        "incident__service", "incident__rule", "incident__rule_version", "playbook"
    )
    for one in rows.prefetch_related("approvals__user", "playbook__versions").order_by("pk"):
        yield from _repair(plans.view_of(one))


def _repair(view: PlanView) -> Iterator[str]:
    one = view.row
    title = f"{verb_word(one.verb)} {view.targets}: {state_word(one.state)}"
    yield from ("", f"## {inline(title)}", "")
    yield row(_("Playbook"), f"{one.playbook.name}, {_('version')} {one.playbook_version}, {one.autonomy}")
    yield "| --- | --- |"
    yield row(_("Step"), f"{one.position}, {_('attempt')} {one.attempt}")
    yield row(_("Planned"), _moment(one.created_at))
    yield row(_("Effect"), f"{_moment(one.effect_started_at)} – {_moment(one.effect_ended_at)}")  # noqa: RUF001
    yield row(_("Ended"), _moment(one.ended_at))
    yield row(_("Why"), redact(one.reason))
    for call in one.plan.get("calls", []):
        yield from ("", fenced(redact(str(call.get("text", "")))))
    yield from _guards(view)
    yield from _approvals(view)
    yield from _proof(view)
    yield from _output(_("Output"), one.output)
    yield from _output(_("Undo"), _undone(one.undone))


def _guards(view: PlanView) -> Iterator[str]:
    if view.guards:
        yield from ("", row(_("Guard"), _("Says"), _("Why")), "| --- | --- | --- |")
        for guard in view.guards:
            yield row(guard.label, _("passes") if guard.passed else _("holds"), redact(guard.reason))


def _approvals(view: PlanView) -> Iterator[str]:
    if view.approvals:
        yield from ("", row(_("Answered"), _("Who"), _("Answer"), _("Why")), "| --- | --- | --- | --- |")
        for one in view.approvals:
            yield row(_moment(one.at), one.user.username, one.get_answer_display(), redact(one.reason))


def _proof(view: PlanView) -> Iterator[str]:
    if view.looks:
        yield from ("", row(_("Looked"), _("Verdict"), _("What was seen")), "| --- | --- | --- |")
        for look in view.looks[-30:]:
            yield row(_moment(look.at), state_word(look.verdict), look.said)


def _output(title: str, text: str) -> Iterator[str]:
    if text:
        yield from ("", f"**{inline(title)}**", "", fenced(redact(text)))


def _undone(undone: Mapping[str, Any]) -> str:
    return json.dumps(undone, indent=2, ensure_ascii=False, default=str) if undone else ""


def _notes(found: Incident) -> Iterator[str]:
    notes = list(found.notes.order_by("at"))
    if notes:
        yield from ("", f"## {_('Notes')}")
    for note in notes:
        yield from ("", f"{inline(note.author)}, {_moment(note.at)}:", "", quoted(note.text))


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if at else "–"  # noqa: RUF001 - the dash for "none"
