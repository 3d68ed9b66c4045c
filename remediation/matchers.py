"""Alertmanager's matchers: `severity="critical", service=~"cart|pay"`. Playbooks, targets and filters use them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import regex
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from remediation.exceptions import MatcherError
from remediation.series import Labels

REGEX_SECONDS = 0.05
"""A hostile pattern or value may not hold the loop: longer than this and the matcher is an error."""

_MATCHER = regex.compile(
    r"""\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<op>=~|!~|!=|=)\s*
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"{}]*))\s*(?:,|$)""",
    regex.VERBOSE,
)
_ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": "\n"}


@dataclass(frozen=True)
class Matcher:
    name: str
    op: str
    value: str

    def __str__(self) -> str:
        escaped = self.value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        return f'{self.name}{self.op}"{escaped}"'

    def matches(self, labels: Labels) -> bool:
        """A missing label counts as empty, as in Prometheus. Raises MatcherError when a regex takes too long."""
        value = labels.get(self.name, "")
        if self.op in ("=", "!="):
            return (value == self.value) == (self.op == "=")
        try:
            hit = _compiled(self.value).fullmatch(value, timeout=REGEX_SECONDS) is not None
        except TimeoutError:
            said = _("the regular expression of {matcher} takes too long; make it simpler")
            raise MatcherError(format_lazy(said, matcher=str(self))) from None
        return hit == (self.op == "=~")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        said = _("{pattern} is no regular expression: {error}")
        raise MatcherError(format_lazy(said, pattern=repr(pattern), error=str(error))) from error


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Matcher, ...]:
    """The matchers of a text; braces around them are allowed, an empty text matches everything. Raises MatcherError."""
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    found: list[Matcher] = []
    while rest:
        match = _MATCHER.match(rest)
        if match is None:
            said = _('cannot read {rest}; write matchers like severity="critical", service=~"cart|pay"')
            raise MatcherError(format_lazy(said, rest=repr(rest)))
        value = match["quoted"]
        value = match["bare"] if value is None else regex.sub(r"\\.", lambda m: _ESCAPES.get(m[0], m[0]), value)
        matcher = Matcher(match["name"], match["op"], value)
        if matcher.op in ("=~", "!~"):
            _compiled(matcher.value)
        found.append(matcher)
        rest = rest[match.end() :]
    return tuple(found)


def matches(text: str, labels: Labels) -> bool:
    """Whether all matchers of the text fit. Raises MatcherError."""
    return all(matcher.matches(labels) for matcher in parse(text))
