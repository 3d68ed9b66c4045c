"""What counts as out of range."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any
from zlib import crc32

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from remediation.exceptions import ConfigurationError
from remediation.models.base import Seconds, clean_params, validate_labels
from remediation.models.service import Service
from remediation.models.source import Source
from remediation.states import Severity

STARTS = 16
"""Moments of an interval at which slots begin: apart from each other, so that not all rules are asked at once, and few,
so that those which are can be asked in one question."""

VERSIONED = (
    *("name", "source_id", "service_id", "query", "detector", "params"),
    *("interval_s", "for_s", "keep_firing_for_s", "severity", "labels", "annotations"),
    *("conditions", "need", "traffic_query", "minimum_traffic"),
)
UNUSED = {"conditions": [], "need": "all", "traffic_query": "", "minimum_traffic": 0.0}
"""What a version leaves out while it is not used, so that a rule without it stays the version it was."""


DIGITS = re.compile(r"[0-9]{1,4}")
CONDITION_KEYS = ("name", "query", "detector", "params")


def clean_conditions(found: Any) -> list[dict[str, Any]]:
    """Further conditions as they are stored. Raises ValidationError on `conditions` that names which one is wrong."""
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValidationError(
            {"conditions": gettext_lazy('Write a list such as [{"query": "up", "detector": "absent"}].')}
        )
    return [_clean_condition(one, at) for at, one in enumerate(found, start=2)]


def _clean_condition(found: dict[str, Any], at: int) -> dict[str, Any]:
    """at: its number, the rule's own query being the first."""
    name, query, detector = (str(found.get(key, "")).strip() for key in CONDITION_KEYS[:3])
    what = gettext("Condition %(n)d") % {"n": at} + (f" ({name})" if name else "")
    params = found.get("params", {})
    unknown = sorted(found.keys() - set(CONDITION_KEYS))
    if unknown:
        said = gettext("%(condition)s: %(names)s is unknown.")
        raise ValidationError({"conditions": said % {"condition": what, "names": ", ".join(unknown)}})
    if not query:
        raise ValidationError({"conditions": gettext("%(condition)s needs a query.") % {"condition": what}})
    if not isinstance(params, dict):
        raise ValidationError({"conditions": gettext("%(condition)s: parameters are an object.") % {"condition": what}})
    try:
        clean_params("detector", detector, params)
    except ValidationError as error:
        raise ValidationError({"conditions": f"{what}: {'; '.join(error.messages)}"}) from error
    return ({"name": name} if name else {}) | {"query": query, "detector": detector, "params": params}


class Rule(models.Model):
    name = models.CharField(
        max_length=100, unique=True, help_text=gettext_lazy("Becomes the label alertname, which playbooks match on.")
    )
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="rules")
    service = models.ForeignKey(
        Service,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="rules",
        help_text=gettext_lazy("Left empty: the service whose matchers fit the series."),
    )
    query = models.TextField(
        help_text=gettext_lazy(
            "PromQL that returns the value to be judged, without a comparison. "
            "For the detector firing alert: matchers of the alerts."
        )
    )
    detector = models.CharField(max_length=50)
    params = models.JSONField("parameters", default=dict, blank=True)
    conditions = models.JSONField(
        "further conditions",
        default=list,
        blank=True,
        help_text=gettext_lazy(
            'More to be judged beside the query: [{"query": ..., "detector": ..., "params": {...}}].'
        ),
    )
    need = models.CharField(
        "conditions needed",
        max_length=10,
        default="all",
        help_text=gettext_lazy("How many of the query and the further conditions must be bad: all, any, or a number."),
    )
    traffic_query = models.TextField(
        "traffic",
        blank=True,
        default="",
        help_text=gettext_lazy(
            "PromQL of the traffic behind the value. With less than the minimum, bad is taken for unknown."
        ),
    )
    minimum_traffic = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0)],
        help_text=gettext_lazy("In the unit of the traffic query; 0: not asked."),
    )
    interval_s = Seconds("interval (s)", default=15, validators=[MinValueValidator(1)])
    for_s = Seconds(
        "for (s)",
        default=0,
        validators=[MinValueValidator(0)],
        help_text=gettext_lazy("Bad this long before it fires."),
    )
    keep_firing_for_s = Seconds(
        "keep firing for (s)",
        default=0,
        validators=[MinValueValidator(0)],
        help_text=gettext_lazy("Good this long before it is over."),
    )
    severity = models.CharField(max_length=10, choices=[(s, s) for s in Severity], default=Severity.WARNING)
    labels = models.JSONField(default=dict, blank=True, validators=[validate_labels])
    annotations = models.JSONField(default=dict, blank=True, validators=[validate_labels])
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=0, editable=False)
    managed_by = models.CharField(
        max_length=200,
        blank=True,
        default="",
        editable=False,
        help_text=gettext_lazy("Who applies it from files (`manage.py rules apply --owner`); empty: made by hand."),
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        clean_params("detector", self.detector, self.params)
        if not self.query.strip():
            raise ValidationError({"query": gettext_lazy("A rule needs a query.")})
        self.conditions = clean_conditions(self.conditions)
        try:
            self.needed  # noqa: B018 - it says what is wrong with it
        except ConfigurationError as error:
            raise ValidationError({"need": str(error)}) from error
        if bool(self.traffic_query.strip()) != (self.minimum_traffic > 0):
            lacking = "traffic_query" if self.minimum_traffic > 0 else "minimum_traffic"
            raise ValidationError({lacking: gettext_lazy("The traffic's query and its minimum belong together.")})

    @property
    def needed(self) -> int:
        """How many of the conditions must be bad, the rule's own query counted. Raises ConfigurationError."""
        count = len(self.conditions) + 1
        words = {"all": count, "any": 1}
        found = words.get(self.need) or (int(self.need) if DIGITS.fullmatch(self.need) else 0)
        if not 1 <= found <= count:
            said = gettext_lazy("need is all, any or a number from 1 to {count}, not {need}")
            raise ConfigurationError(format_lazy(said, count=count, need=repr(self.need)))
        return found

    def body(self) -> dict[str, Any]:
        """What a version keeps."""
        found = {name: getattr(self, name) for name in VERSIONED}
        return {name: value for name, value in found.items() if UNUSED.get(name, ...) != value}

    def slot(self, now: float) -> int:
        """The number of the interval that `now` falls into, shifted by what is asked."""
        # A clock reads in microseconds: a slot that begins within that counts as begun.
        return math.floor((now - self.offset_s) / self.period_s + 1e-6)

    @property
    def offset_s(self) -> float:
        # Rules that ask the same are due at the same moment, so that one answer serves them all.
        return crc32(f"{self.source_id} {self.query.strip()}".encode()) % STARTS / STARTS * self.period_s

    @property
    def period_s(self) -> float:
        """The interval, never so short (by a write past all checks) that it would stop beat for everybody."""
        return max(0.1, float(self.interval_s))

    def slot_began(self, now: datetime) -> datetime:
        """When the slot that `now` falls into began."""
        began = self.slot(now.timestamp()) * self.period_s + self.offset_s
        return datetime.fromtimestamp(min(began, now.timestamp()), tz=now.tzinfo)

    def next_slot_at(self, now: float) -> float:
        return (self.slot(now) + 1) * self.period_s + self.offset_s

    def keep_version(self, *, author: str, now: datetime) -> RuleVersion:
        """Write a new version when anything that is judged by has changed; the newest one otherwise."""
        latest = self.versions.order_by("-number").first()
        if latest is not None and latest.body == self.body():
            return latest
        number = latest.number + 1 if latest else 1
        Rule.objects.filter(pk=self.pk).update(version=number)
        self.version = number
        return RuleVersion.objects.create(rule=self, number=number, body=self.body(), author=author, at=now)


class RuleVersion(models.Model):
    """A rule as it was, so that an incident and a plan can say what they were judged by."""

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    body = models.JSONField()
    author = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["rule", "number"], name="rule_version_number")]

    def __str__(self) -> str:
        return f"{self.rule} v{self.number}"

    def as_rule(self) -> Rule:
        """The rule as this version had it; not to be saved."""
        return Rule(pk=self.rule_id, version=self.number, **self.body)


class RuleStatus(models.Model):
    """What the last evaluation of a rule came to. `slot` is claimed by compare-and-set: one evaluation per slot."""

    rule = models.OneToOneField(Rule, on_delete=models.CASCADE, related_name="status")
    slot = models.BigIntegerField(default=-1)
    running_until = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField(null=True)
    took_ms = models.FloatField(default=0)
    error = models.TextField(blank=True)
    error_at = models.DateTimeField(null=True)
    series = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    overruns = models.PositiveIntegerField(default=0)
    settled = models.CharField(
        max_length=100,
        blank=True,
        help_text=gettext_lazy(
            "Names the version and the series when every one of them is ok and nothing is open: seen again "
            "as they were, nothing has to be read or written."
        ),
    )
    looked_at = models.DateTimeField(null=True, help_text=gettext_lazy("When the series were last written."))
    waiting = models.BooleanField(
        default=False,
        help_text=gettext_lazy("Alerts came while it was being evaluated: whoever is at it looks once more."),
    )

    def __str__(self) -> str:
        return f"{self.rule}: {self.series} series, {self.bad} bad, {self.unknown} unknown"
