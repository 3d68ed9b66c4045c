"""What a rule that is being written would say now: asked while it is typed, nothing is kept."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone

from remediation import registry
from remediation.admin.outside import PATIENCE_S
from remediation.admin.plugins import Params
from remediation.checks import plain
from remediation.detect.base import Detector, Verdicts
from remediation.exceptions import MatcherError, QueryRefused
from remediation.models import Source, SourceStatus
from remediation.observe import alerts, window
from remediation.observe.base import Question
from remediation.observe.clients import access_of
from remediation.observe.prometheus import Prometheus
from remediation.rules import doubts
from remediation.rules.doubts import Asked
from remediation.series import Matrix
from remediation.standings import finite
from remediation.states import Code, Verdict

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    Admin = ModelAdmin[Any]
else:
    Admin = object

SHOWN = 8
"""Series that are named; the bad ones first."""
SPARK_S, SPARK_STEP_S = 3600.0, 60.0
LONGEST_QUERY = 20_000
QUICK_S = 0.7
"""A source that needs longer for the verdicts is asked what speaks against the rule only when it is saved."""


class Wrong(Exception):
    """Why there is nothing to show. field: where to say so."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class PreviewAdmin(Admin):
    """Answers the form of a rule while it is edited."""

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_preview"
        return [path("preview/", self.admin_site.admin_view(self.preview_view), name=name), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> HttpResponseBase:
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied
        if request.method != "POST":  # it asks a source, so a link from elsewhere must not do it
            return HttpResponseNotAllowed(["POST"])
        try:
            return JsonResponse(preview(request.POST, now=timezone.now().timestamp()))
        except Wrong as wrong:
            return JsonResponse({"field": wrong.field, "error": str(wrong)})


def preview(form: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """The verdicts of the form's rule now. Raises Wrong; empty while there is too little to ask."""
    query = str(form.get("query", "")).strip()[:LONGEST_QUERY]
    chosen = str(form.get("source", ""))
    source = Source.objects.filter(pk=chosen).first() if chosen.isdecimal() else None
    detector = registry.detectors().get(str(form.get("detector", "")))
    if source is None or not query:
        return {}
    if detector is not None and detector.source == "alerts":
        return _judged(detector, detector.parse({}), _alerts(source, query, now=now))
    client = _client(source)
    params = Params("detector", detector.name, stored={}, prefix="params", data=form) if detector else None
    if detector is None or params is None or params.swapped or params.wrong:
        return _counted(_ask(client, Question(query=query), now=now))
    typed = detector.parse(params.value)
    question = Question(
        query=query,
        window_s=detector.window_s(typed),
        step_s=detector.step_s(typed),
        needs_liveness=detector.needs_liveness,
    )
    begun = time.monotonic()
    told = _judged(detector, typed, _ask(client, question, now=now)) | _spark(client, query, now=now)
    if time.monotonic() - begun < QUICK_S:
        asked = Asked(query=query, detector=detector, params=typed, interval_s=_seconds(form.get("interval_s")))
        told["doubts"] = [str(doubt) for doubt in doubts.find(client, asked, now=now).doubts]
    return told


def _seconds(text: object) -> float:
    """What the form holds as an interval; 0 while that is no number."""
    try:
        found = float(str(text))
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0


def _client(source: Source) -> Prometheus:
    try:
        access = access_of(source)
        return Prometheus(replace(access, timeout_s=min(access.timeout_s, PATIENCE_S)))
    except Exception as error:  # a source may be written before its secret is there
        raise Wrong("source", plain(error)) from error


def _ask(client: Prometheus, question: Question, *, now: float) -> Matrix:
    try:
        return window.fetch(client, question, now=now)
    except QueryRefused as error:
        raise Wrong("query", str(error)) from error
    except Exception as error:  # whatever the source does, the form goes on working
        raise Wrong("source", plain(error)) from error


def _alerts(source: Source, query: str, *, now: float) -> Matrix:
    status = SourceStatus.objects.filter(source=source).first()
    try:
        return alerts.as_matrix(source.pk, query, now=now, answered=status is not None and not status.failing)
    except MatcherError as error:
        raise Wrong("query", str(error)) from error


def _counted(matrix: Matrix) -> dict[str, Any]:
    """Only how many series there are: the parameters do not say yet what is bad."""
    return {"series": len(matrix.labels), "rows": [{"labels": dict(labels)} for labels in matrix.labels[:SHOWN]]}


def _judged(detector: Detector, params: registry.Params, matrix: Matrix) -> dict[str, Any]:
    verdicts = detector.judge(matrix, params)
    codes = verdicts.codes.tolist()
    order = sorted(range(len(codes)), key=lambda row: (Code.BAD, Code.UNKNOWN, Code.OK).index(codes[row]))
    counts = Counter(Code(code).verdict for code in codes)
    told = {"series": len(matrix.labels), "rows": [_row(verdicts, row) for row in order[:SHOWN]]}
    return told | {verdict.value: counts[verdict] for verdict in Verdict}


def _row(verdicts: Verdicts, row: int) -> dict[str, Any]:
    return {
        "labels": dict(verdicts.labels[row]),
        "verdict": Code(int(verdicts.codes[row])).verdict,
        "value": finite(verdicts.values[row]),
        "reason": verdicts.reasons[row],
    }


def _spark(client: Prometheus, query: str, *, now: float) -> dict[str, Any]:
    """The last hour of a few series, for a small picture; nothing where that cannot be had."""
    try:
        matrix = _ask(client, Question(query=query, window_s=SPARK_S, step_s=SPARK_STEP_S), now=now)
    except Wrong:
        return {}
    return {"spark": [[finite(value) for value in line] for line in matrix.values[:SHOWN]]}
