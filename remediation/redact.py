"""Takes secrets out of what is stored and shown: outputs, reasons, errors. Pure, but for the secrets that are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from remediation.conf import OUTPUT_LIMIT
from remediation.secrets import resolved_values

HIDDEN = "***"
SHORTEST = 4
"""A known secret shorter than this is left alone: every other word would hold it."""
LOOKED_AT = 20 * OUTPUT_LIMIT
"""Characters that are looked through at most; what lies beyond is cut before, so no text can hold the loop."""

_KINDS = "password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
_WORD = rf"(?:[A-Za-z0-9_.-]{{0,40}}[_.-])?(?:{_KINDS})"
_PATTERNS: Sequence[tuple[re.Pattern[str], str]] = (
    (
        re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.S),
        f"{HIDDEN} private key",
    ),
    (re.compile(r"(?i)((?:proxy-)?authorization[\"']?\s{0,5}[:=]\s{0,5}[\"']?)[^\r\n\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)((?:set-)?cookie\s{0,5}:\s{0,5})[^\r\n]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)(\s{1,5})[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{HIDDEN}"),
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)[^\s/@\"'<>]{1,512}@"), rf"\1{HIDDEN}@"),
    (re.compile(rf"(?i)\b({_WORD}[\"']?\s{{0,5}}[:=]\s{{0,5}})\"[^\"\r\n]*\""), rf'\1"{HIDDEN}"'),
    (re.compile(rf"(?i)\b({_WORD}[\"']?\s{{0,5}}[:=]\s{{0,5}})'[^'\r\n]*'"), rf"\1'{HIDDEN}'"),
    (re.compile(rf"(?i)\b({_WORD}\s{{0,5}}[:=]\s{{0,5}})[^\s,;&\"']+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(--?{_WORD}\s{{1,5}})[^\s\"'-][^\s]*"), rf"\1{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), HIDDEN),
)
"""Linear in the text: what repeats is bounded, or ends at the first character that does not belong to it."""


def redact(text: str, *, limit: int = OUTPUT_LIMIT) -> str:
    """The text without secrets, in at most `limit` characters and a word that it was cut.

    Hidden are the values of every secret reference that this process has resolved, and whatever looks like one:
    Authorization and Cookie headers, bearer tokens, `password=...` and its kin, private keys, credentials in URLs.
    """
    whole = text[:LOOKED_AT].replace("\x00", "")
    for value in sorted(resolved_values(), key=len, reverse=True):
        if len(value) >= SHORTEST:
            whole = whole.replace(value, HIDDEN)
    for pattern, shown in _PATTERNS:
        whole = pattern.sub(shown, whole)
    cut = len(whole) > limit or len(text) > LOOKED_AT
    return f"{whole[:limit]}\n… cut here" if cut else whole


def redacted_facts(facts: Mapping[str, Any], *, limit: int = OUTPUT_LIMIT) -> dict[str, Any]:
    """The same of every text among facts, however deep."""
    found = {redact(str(name), limit=200): _value(value, limit) for name, value in facts.items()}
    return {name: HIDDEN if re.fullmatch(f"(?i){_WORD}", name) and found[name] else found[name] for name in found}


def _value(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return redact(value, limit=limit)
    if isinstance(value, Mapping):
        return redacted_facts(value, limit=limit)
    if isinstance(value, list | tuple):
        return [_value(one, limit) for one in value]
    return value
