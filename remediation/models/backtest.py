"""A backtest that somebody asked for in the browser: what was asked, how far it is, what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy

from remediation.models.playbook import Playbook
from remediation.models.rule import Rule

KEPT = 20
"""Ended backtests that are kept of a rule."""


class Backtest(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"

    MOVES: Mapping[str, frozenset[str]] = {
        State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.FAILED}),
        State.RUNNING: frozenset({State.DONE, State.CANCELLED, State.FAILED}),
    }

    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, related_name="backtests")
    body = models.JSONField(help_text=gettext_lazy("The rule as it was judged by, edits included."))
    changes = models.JSONField(default=dict, help_text=gettext_lazy("What of it was edited for this backtest only."))
    playbook = models.ForeignKey(Playbook, on_delete=models.SET_NULL, null=True, related_name="+")
    start = models.DateTimeField()
    end = models.DateTimeField()

    state = models.CharField(max_length=10, default=State.QUEUED)
    progress = models.FloatField(default=0, help_text=gettext_lazy("0 to 1."))
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    by = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text=gettext_lazy("Last sign of life of whoever has it."))
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["state", "created_at"], name="backtest_by_state")]

    def __str__(self) -> str:
        return f"backtest of {self.rule}"

    @property
    def live(self) -> bool:
        return self.state in self.MOVES

    def as_rule(self) -> Rule:
        """The rule that is judged by; not to be saved."""
        rule = Rule(pk=self.rule_id, version=self.rule.version, **self.body)
        rule.source = self.rule.source
        return rule

    def move(self, to: str, *, now: datetime, **fields: Any) -> bool:
        """Go from the state that was read to another one by compare-and-set. False when somebody was quicker."""
        if to not in self.MOVES.get(self.state, ()):
            return False
        fields |= {"state": str(to), "seen_at": now}
        if to not in self.MOVES:
            fields["ended_at"] = now
        if not Backtest.objects.filter(pk=self.pk, state=self.state).update(**fields):
            return False
        for name, value in fields.items():
            setattr(self, name, value)
        return True

    @classmethod
    def forget_old(cls, rule: Rule) -> None:
        """Keep the newest of a rule, and all that are not over."""
        ended = cls.objects.filter(rule=rule).exclude(state__in=list(cls.MOVES))
        kept = list(ended.order_by("-pk").values_list("pk", flat=True)[:KEPT])
        ended.exclude(pk__in=kept).delete()
