"""Backtest: any rule over real history, with what a playbook would have done, before anything is enabled or saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import IntegerField, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from dashboard.pages.answers import person
from remediation import matchers, registry
from remediation.admin.conditions import Blocks
from remediation.admin.params import ParamsForm
from remediation.backtest import job
from remediation.backtest.run import edited, fitting_playbook
from remediation.exceptions import HomeostatError, MatcherError, QueryRefused
from remediation.models import Backtest, Playbook, Rule
from remediation.observe.clients import client_for

RANGES = (("3600", _("1 h")), ("21600", _("6 h")), ("86400", _("1 d")), ("604800", _("7 d")), ("custom", _("From, to")))
LONGEST = timedelta(days=31)
SHOWN = 10
FURTHER = ("conditions", "need", "traffic_query", "minimum_traffic")
"""What else of an edited rule comes along from its form in the admin; it is not edited here."""
TRIED = ("query", "detector", "interval_s", "for_s", "keep_firing_for_s")
"""What of a rule can be tried otherwise than it is saved, beside the detector's parameters."""


class MomentField(forms.DateTimeField):
    """A moment as the browser's own picker writes it, in UTC."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1})

    def clean(self, value: Any) -> Any:
        found = super().clean(value)
        return found.replace(tzinfo=UTC) if found is not None else None


class BacktestForm(forms.Form):
    """What is asked, apart from the detector's parameters, which bring their own form."""

    range = forms.ChoiceField(choices=RANGES, initial="21600", widget=forms.RadioSelect)
    start = MomentField(required=False, label=_("From (UTC)"))
    end = MomentField(required=False, label=_("To (UTC)"))
    playbook = forms.ModelChoiceField(
        Playbook.objects.order_by("name"), required=False, label=_("Playbook"), empty_label=_("None: only the rule")
    )
    query = forms.CharField(
        max_length=20_000, widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}), label=_("Query")
    )
    detector = forms.ChoiceField(
        choices=lambda: [(name, name) for name in registry.detectors()], widget=forms.HiddenInput
    )
    further = forms.JSONField(required=False, widget=forms.HiddenInput)
    interval_s = forms.FloatField(min_value=1, label=_("Interval (s)"), help_text=_("Between two evaluations."))
    for_s = forms.FloatField(min_value=0, label=_("For (s)"), help_text=_("Bad this long before it fires."))
    keep_firing_for_s = forms.FloatField(
        min_value=0, label=_("Keep firing for (s)"), help_text=_("Good this long before it is over.")
    )

    def clean_further(self) -> dict[str, Any]:
        """A field that nobody types into: whatever is not as this page wrote it is left out."""
        given = self.cleaned_data["further"]
        kinds = {"conditions": list, "need": str, "traffic_query": str, "minimum_traffic": int | float}
        found = given.items() if isinstance(given, dict) else ()
        return {name: value for name, value in found if name in kinds and isinstance(value, kinds[name])}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        now = timezone.now()
        if cleaned.get("range") != "custom":
            cleaned["end"] = now
            cleaned["start"] = now - timedelta(seconds=float(cleaned.get("range") or 0))
            return cleaned
        start, end = cleaned.get("start"), cleaned.get("end") or now
        if start is None:
            self.add_error("start", _("Say where the range begins."))
        elif not timedelta() < end - start <= LONGEST:
            self.add_error("start", _("It must begin before it ends, and at most 31 days before."))
        elif start >= now:
            self.add_error("start", _("History ends now."))
        return cleaned | {"start": start, "end": min(end, now)}


def backtest(request: HttpRequest, pk: int) -> HttpResponse:
    """The form, and what was found earlier. A POST starts one, or fills the form in from an edited rule (`draft`)."""
    rule = get_object_or_404(Rule.objects.select_related("source", "service"), pk=pk)
    fitting = fitting_playbook(rule)
    if request.method == "POST" and not request.user.has_perm("remediation.operate"):
        raise PermissionDenied
    if request.method == "POST" and "draft" not in request.POST:
        form, params = BacktestForm(request.POST), _params_form(rule, request.POST.get("detector", ""), request.POST)
        if form.is_valid() and params.is_valid() and _understood(rule, form):
            return _start(request, rule, form, params)
    else:
        draft = request.POST if request.method == "POST" else {}
        shown = {name: draft.get(name, _saved(rule, name)) for name in TRIED}
        form = BacktestForm(initial=shown | {"playbook": fitting, "range": "21600", "further": _further(rule, draft)})
        params = _params_form(rule, str(shown["detector"]), draft or None)
    context = {"page": "rules", "rule": rule, "form": form, "params": params, "fitting": fitting}
    context |= {"past": earlier(rule)[:SHOWN]}
    context |= {"detector": form["detector"].value(), "further": form["further"].value() not in (None, "", "null")}
    return render(request, "backtest/form.html", context)


def earlier(rule: Rule) -> QuerySet[Backtest]:
    """Its backtests, the newest first, each with how often it would have `fired`: the whole result is large."""
    fired = Cast(KT("result__fired"), IntegerField())
    return Backtest.objects.filter(rule=rule).select_related("playbook").defer("result").annotate(fired=fired)


def _further(rule: Rule, draft: Mapping[str, Any]) -> dict[str, Any] | None:
    """The further conditions and the traffic of a draft where they are not as saved; None otherwise."""
    blocks = Blocks("conditions", rule.conditions, draft)
    try:
        found = {
            "conditions": [] if blocks.wrong else blocks.value,
            "need": str(draft["need"]).strip() or "all",
            "traffic_query": str(draft["traffic_query"]).strip(),
            "minimum_traffic": float(draft["minimum_traffic"] or 0),
        }
    except (KeyError, ValueError):
        return None
    return found if found != {name: getattr(rule, name) for name in FURTHER} else None


def _saved(rule: Rule, name: str) -> str:
    value = getattr(rule, name)
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _params_form(rule: Rule, name: str, data: Mapping[str, Any] | None = None) -> ParamsForm:
    detector = registry.detectors().get(name)
    schema = detector.Params if detector else registry.Params
    form = ParamsForm(schema, stored=rule.params if name == rule.detector else {}, data=data, prefix="params")
    for field in form.fields.values():
        if isinstance(field, forms.ChoiceField):
            field.widget = forms.Select()  # the admin's own brings an arrow of its font along
            field.choices = field.choices  # tells the widget
    return form


def _understood(rule: Rule, form: BacktestForm) -> bool:
    """Whether an edited query can be read: the source says so at once, in place of a backtest that fails."""
    query = form.cleaned_data["query"]
    if query == rule.query.strip():
        return True
    try:
        if registry.detector(form.cleaned_data["detector"]).source == "alerts":
            matchers.parse(query)
        else:
            client_for(rule.source).instant(query, at=timezone.now().timestamp())
    except (QueryRefused, MatcherError) as error:
        form.add_error("query", str(error))
    except HomeostatError:
        return True  # whether the source answers is the backtest's own question
    return not form.errors


def _start(request: HttpRequest, rule: Rule, form: BacktestForm, params: ParamsForm) -> HttpResponse:
    asked = form.cleaned_data
    wanted = {"params": params.value()} | {name: asked[name] for name in TRIED} | (asked["further"] or {})
    saved = {name: getattr(rule, name) for name in ("params", *TRIED, *FURTHER)} | {"query": rule.query.strip()}
    changes = {name: value for name, value in wanted.items() if value != saved[name]}
    try:
        edited(rule, changes).clean()
        row = job.start(
            rule,
            changes=changes,
            begin=asked["start"],
            end=asked["end"],
            playbook=asked["playbook"],
            by=person(request).username,
            now=timezone.now(),
        )
    except (HomeostatError, ValidationError) as error:
        messages.error(request, " ".join(error.messages) if isinstance(error, ValidationError) else str(error))
        return redirect("backtest", pk=rule.pk)
    return redirect("backtest-result", pk=row.pk)
