"""Refuses a rule for what its source says against it, unless a person insists on exactly that."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, override

from remediation.admin import outside
from remediation.admin.plugins import ParamsField, PluginForm
from remediation.models import Rule, record
from remediation.rules.doubts import Doubt

ASKED = ("source_id", "query", "detector", "params", "interval_s", "conditions", "traffic_query")
"""Fields whose change makes the source be asked: a new name or severity is stored whether or not it answers."""
IN_WORDS = {
    "compared": "a comparison in the query",
    "empty": "an empty result",
    "many": "many series",
    "unreachable": "a source that did not answer",
}


class DoubtingForm(PluginForm):
    """The form of a rule. `refused`: what was held against it; `insisted`: on what a person stored it all the same."""

    refused: tuple[Doubt, ...] = ()
    insisted: tuple[Doubt, ...] = ()
    good_news: tuple[str, ...] = ()

    def ask_outside(self) -> None:
        self.refused, self.insisted, self.good_news = (), (), ()
        saved = Rule.objects.filter(pk=self.instance.pk).values(*ASKED).first()
        if saved == {name: getattr(self.instance, name) for name in ASKED}:
            return
        found = outside.ask_rule(self.instance, now=timezone.now().timestamp())
        agreed = str(self.data.get("insist", "")).split()
        if all(doubt.insist and name_of(doubt) in agreed for doubt in found.doubts):
            self.insisted = found.doubts
        else:
            self.refused = found.doubts
            for doubt in found.doubts:
                self._refuse(doubt)
        if found.series and not found.doubts:
            said = gettext("The query gives %(n)d series on %(source)s now.")
            self.good_news = (said % {"n": found.series, "source": self.instance.source},)

    @property
    def insist_on(self) -> str:
        """The value of “Save anyway”: the very doubts that were shown. Empty where insisting would not be sane."""
        return " ".join(map(name_of, self.refused)) if all(doubt.insist for doubt in self.refused) else ""

    def _refuse(self, doubt: Doubt) -> None:
        """At the field that it is about; parameters are marked among their own."""
        kind, _, name = doubt.field.partition(".")
        field: Any = self.fields.get(kind)
        if isinstance(field, ParamsField):
            marked = field.params.form
            marked.add_error(name if name in marked.fields else None, str(doubt))
            said = gettext("%(detector)s: see what is marked at its parameters.")
            self.add_error(None, said % {"detector": self.instance.detector})
        else:
            self.add_error(kind if field else None, str(doubt))


def name_of(doubt: Doubt) -> str:
    return f"{doubt.field}:{doubt.code}"


def author_of(username: str, insisted: tuple[Doubt, ...]) -> str:
    """The author line of a version: who, and on what they insisted."""
    if not insisted:
        return username
    words = dict.fromkeys(IN_WORDS.get(doubt.code, doubt.code.replace("_", " ")) for doubt in insisted)
    return f"{username}, insisting on {', '.join(words)}"[:150]


def note(rule: Rule, insisted: tuple[Doubt, ...], *, by: str) -> None:
    """Put into the record what was known against a rule when it was stored."""
    if insisted:
        with override("en"):  # what is kept stays in one language
            reason = " ".join(str(doubt.text) for doubt in insisted)
        facts = {"doubts": [{"field": doubt.field, "code": doubt.code} for doubt in insisted]}
        record(rule, "saved_anyway", now=timezone.now(), reason=reason, actor=by, facts=facts)
