"""Takes secrets out of what is stored and shown: outputs, reasons, errors. Pure, but for the secrets that are known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

from remediation.conf import OUTPUT_LIMIT
from remediation.secrets import resolved_values

HIDDEN = "***"
SHORTEST = 4
"""A known secret shorter than this is left alone: every other word would hold it."""
LONG_LINE = 16
"""A line of a known secret (a key file) that is as long as this is hidden where it stands alone."""
LOOKED_AT = 20 * OUTPUT_LIMIT
"""Characters that are looked through at most; what lies beyond is cut before, so no text can hold the loop."""

# What the name of a secret ends with: DB_PASSWORD, PGPASSWORD, accessToken and client_secret have something before.
_KINDS = (
    "(?:password|passwd|passphrase|(?<=[_.-])pass|(?<![a-z])pass(?==)|pwd|secret|token|credentials?"
    "|(?:api|access|private|secret|signing|encryption)[_-]?key)(?:[_-]?(?:hash|value))?"
)
_NAME_ENDS = re.compile(rf"(?i){_KINDS}\Z")
_GIVEN = r"\s{0,5}(?>=>|[:=])\s{0,5}[\[({]?+"
# A quoted value ends at its quote or, where that was cut off, with the line; \" is a part of it.
_DOUBLE = r"\"(?:[^\"\\\r\n]|\\[^\r\n])*+(?:\"|\\?(?=[\r\n]|\Z))"
_SINGLE = r"'(?:[^'\\\r\n]|\\[^\r\n])*+(?:'|\\?(?=[\r\n]|\Z))"
_OPTION = rf"--?(?:[a-z0-9]{{1,20}}[_.-]){{0,3}}{_KINDS}\s{{1,5}}"
# JSON within JSON: \"password\": \"...\"
_ESCAPED = r"\\\"(?:[^\"\\\r\n]|\\{2,}[^\r\n]|\\(?=[^\"\\]))*+(?:\\\")?"

_PATTERNS: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.S),
        f"{HIDDEN} private key",
    ),
    (re.compile(r"(?i)((?:proxy-)?authorization[\"']?\s{0,5}[:=]\s{0,5}[\"']?)[^\r\n\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)((?:set-)?cookies?\s{0,5}:\s{0,5})[^\r\n]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)((?:cookie|session[_-]?id)=)[^\s,;&\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)(:?\s{1,5})[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{HIDDEN}"),
    # A password in a URL may hold / and @ although it should not; 10.0.0.1:9090/ is none.
    (re.compile(r"(://[^\s/:@\"'<>]{0,128}:)(?!\d{1,5}[/?#])[^\s\"'<>]{1,512}@"), rf"\1{HIDDEN}@"),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/@\"'<>]{1,512}@"), rf"\1{HIDDEN}@"),
    (re.compile(rf"(?i)({_KINDS}\\\"{_GIVEN}){_ESCAPED}"), rf'\1\\"{HIDDEN}\\"'),
    (re.compile(rf"(?i)({_KINDS}[\"']?{_GIVEN}){_DOUBLE}"), rf'\1"{HIDDEN}"'),
    (re.compile(rf"(?i)({_KINDS}[\"']?{_GIVEN}){_SINGLE}"), rf"\1'{HIDDEN}'"),
    (re.compile(rf"(?i)({_KINDS}\\?[\"']?{_GIVEN})[^\s,;&\"'\\)}}\]]+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)({_OPTION}){_DOUBLE}"), rf'\1"{HIDDEN}"'),
    (re.compile(rf"(?i)({_OPTION}){_SINGLE}"), rf"\1'{HIDDEN}'"),
    (re.compile(rf"(?i)({_OPTION})[^\s\"'-][^\s]*"), rf"\1{HIDDEN}"),
    (re.compile(r"((?:^|(?<=\s))(?:-u|--user)[\s=]{1,5}[^\s:\"']{1,64}:)[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(<[a-z0-9_.:-]{{0,40}}{_KINDS}>)[^<\r\n]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\bidentified\s{1,5}by\s{1,5}')[^'\r\n]+"), rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), HIDDEN),
    # Those that say by their beginning what they are: GitHub, GitLab, Slack, AWS, Google.
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-)[A-Za-z0-9_-]{10,}"), HIDDEN),
    (re.compile(r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35})\b"), HIDDEN),
)
"""Linear in the text: what repeats is bounded, or ends at the first character that does not belong to it."""

_HINTS = (
    *("pass", "pwd", "secret", "token", "credential", "key", "authorization", "cookie", "session", "bearer", "basic"),
    *("://", "-u", "identified", "eyj", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox"),
    *("akia", "asia", "aiza"),
)
"""What each of the patterns needs one of, in small letters: most texts hold none, and are through in a microsecond."""


def redact(text: str, *, limit: int = OUTPUT_LIMIT) -> str:
    """The text without secrets, in at most `limit` characters and a word that it was cut.

    Hidden are the values of every secret reference that this process has resolved, also as they stand in JSON or in a
    URL, and whatever looks like one: Authorization and Cookie headers, bearer tokens, `password=...` and its kin,
    private keys, credentials in URLs.
    """
    whole = text[:LOOKED_AT].replace("\x00", "")
    for value in sorted(set(_known()), key=len, reverse=True):
        whole = whole.replace(value, HIDDEN)
    small = whole.lower()
    if any(hint in small for hint in _HINTS):
        for pattern, shown in _PATTERNS:
            whole = pattern.sub(shown, whole)
    cut = len(whole) > limit or len(text) > LOOKED_AT
    return f"{whole[:limit]}\n… cut here" if cut else whole


def _known() -> Iterator[str]:
    """The secrets that were resolved here, in each way in which they may be written."""
    for value in resolved_values():
        if len(value) >= SHORTEST:
            yield from (value, json.dumps(value)[1:-1], quote(value, safe=""), quote_plus(value))
            yield from (line for line in value.splitlines() if len(line) >= LONG_LINE)


def redacted_facts(facts: Mapping[str, Any], *, limit: int = OUTPUT_LIMIT) -> dict[str, Any]:
    """The same of every text among facts, however deep."""
    found = {redact(str(name), limit=200): _value(value, limit) for name, value in facts.items()}
    return {name: HIDDEN if _NAME_ENDS.search(name) and found[name] else found[name] for name in found}


def _value(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return redact(value, limit=limit)
    if isinstance(value, Mapping):
        return redacted_facts(value, limit=limit)
    if isinstance(value, list | tuple):
        return [_value(one, limit) for one in value]
    return value
