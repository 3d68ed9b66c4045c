"""Translations as text (.po, kept in the repository) and as gettext reads them (.mo, made where they are missing).

The gettext programs are not needed. A compiled catalogue lies below the installation's home in a directory named by its
content, so that processes that start side by side, and an older release that still runs, do not disturb each other.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DOMAIN = "django.po"
HEADER = (
    "Project-Id-Version: Homeostat\\nMIME-Version: 1.0\\nContent-Type: text/plain; charset=UTF-8\\n"
    "Content-Transfer-Encoding: 8bit\\nLanguage: {language}\\nPlural-Forms: {plural_forms}\\n"
)
PLURAL_FORMS = {"zh_Hans": "nplurals=1; plural=0;"}
MO_MAGIC = 0x950412DE


@dataclass(frozen=True, kw_only=True)
class Message:
    """One entry. `strings` holds one text, or one for each plural form; empty where it is not translated yet."""

    id: str
    plural: str = ""
    context: str = ""
    strings: tuple[str, ...] = ()
    fuzzy: bool = False
    places: tuple[str, ...] = field(default=(), compare=False)

    @property
    def key(self) -> tuple[str, str]:
        return self.context, self.id


def read(path: Path) -> list[Message]:
    """The entries of a .po file, without its header. ValueError names the line that cannot be read."""
    found = [_message(lines) for lines in _entries(path.read_text(encoding="utf-8"))]
    return [one for one in found if one.id]


def _entries(text: str) -> Iterator[list[tuple[int, str]]]:
    lines: list[tuple[int, str]] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.strip():
            lines.append((number, line.strip()))
        elif lines:
            yield lines
            lines = []


def _message(lines: Sequence[tuple[int, str]]) -> Message:
    texts: dict[str, str] = {}
    places: list[str] = []
    fuzzy, keyword = False, ""
    for number, line in lines:
        if line.startswith("#"):
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
            places += line[2:].split() if line.startswith("#:") else []
            continue
        named, _, quoted = line.partition(" ") if not line.startswith('"') else (keyword, "", line)
        keyword = named
        try:
            texts[keyword] = texts.get(keyword, "") + str(ast.literal_eval(quoted))
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"line {number} is no entry of a catalogue: {line}") from error
    strings = tuple(value for name, value in texts.items() if name.startswith("msgstr"))
    return Message(
        id=texts.get("msgid", ""),
        plural=texts.get("msgid_plural", ""),
        context=texts.get("msgctxt", ""),
        strings=strings if any(strings) else (),
        fuzzy=fuzzy,
        places=tuple(places),
    )


def write(path: Path, language: str, messages: Iterable[Message]) -> None:
    """A .po file, ordered by where the texts stand, so that a change of one is a change of few lines."""
    header = HEADER.format(language=language, plural_forms=PLURAL_FORMS[language])
    ordered = sorted(messages, key=lambda one: (one.places[:1], one.context, one.id))
    parts = [f'msgid ""\nmsgstr "{header}"\n', *map(_written, ordered)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")


def _written(one: Message) -> str:
    lines = [f"#: {place}" for place in one.places]
    lines += ["#, fuzzy"] if one.fuzzy else []
    lines += [f"msgctxt {_quoted(one.context)}"] if one.context else []
    lines += [f"msgid {_quoted(one.id)}"]
    if not one.plural:
        return "\n".join([*lines, f"msgstr {_quoted(''.join(one.strings))}", ""])
    strings = one.strings or ("",)
    lines += [f"msgid_plural {_quoted(one.plural)}"]
    return "\n".join([*lines, *(f"msgstr[{n}] {_quoted(text)}" for n, text in enumerate(strings)), ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def compiled(messages: Iterable[Message], language: str) -> bytes:
    """The catalogue as GNU gettext's .mo, revision 0, little-endian; what is fuzzy or empty is left out."""
    header = HEADER.format(language=language, plural_forms=PLURAL_FORMS[language]).replace("\\n", "\n")
    pairs = [(b"", header.encode())]
    for one in messages:
        if one.strings and not one.fuzzy:
            name = (f"{one.context}\x04" if one.context else "") + one.id + (f"\x00{one.plural}" if one.plural else "")
            pairs.append((name.encode(), "\x00".join(one.strings).encode()))
    pairs.sort()
    names, texts = [name for name, _ in pairs], [text for _, text in pairs]
    table, strings = b"", b""
    start = 28 + 16 * len(pairs)
    for column in (names, texts):
        for item in column:
            table += struct.pack("<II", len(item), start + len(strings))
            strings += item + b"\x00"
    head = struct.pack("<7I", MO_MAGIC, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start)
    return head + table + strings


def locale_paths(sources: Sequence[Path], home: Path) -> list[str]:
    """Directories with compiled catalogues, as LOCALE_PATHS wants them: one for each source, made where missing.

    sources: directories that hold `<language>/LC_MESSAGES/django.po`. Where `home` cannot be written, a directory of
    this process alone takes its place: pages are translated all the same.
    """
    files = [(source, sorted(source.glob(f"*/LC_MESSAGES/{DOMAIN}"))) for source in sources]
    digest = hashlib.sha256(b"\x00".join(path.read_bytes() for _, found in files for path in found)).hexdigest()[:16]
    root = home / "locale" / digest
    paths = [root / source.parent.name for source in sources]
    if not root.is_dir():
        try:
            _make(root, files)
        except OSError:
            _make(other := Path(tempfile.mkdtemp(prefix="homeostat-locale-")) / digest, files)
            paths = [other / source.parent.name for source in sources]
    return [str(path) for path in paths]


def _make(root: Path, files: Sequence[tuple[Path, list[Path]]]) -> None:
    """All catalogues in a directory beside, which then takes its name at once: nobody reads half of them."""
    root.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=root.parent))
    for source, found in files:
        for path in found:
            language = path.parent.parent.name
            made = beside / source.parent.name / language / "LC_MESSAGES" / "django.mo"
            made.parent.mkdir(parents=True)
            made.write_bytes(compiled(read(path), language))
    beside.chmod(0o755)
    try:
        beside.rename(root)
    except OSError:
        shutil.rmtree(beside)
        if not root.is_dir():  # otherwise another process was quicker, with the same content
            raise
