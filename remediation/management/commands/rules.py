"""Rules as code: export, diff, apply, check, test, library."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent
from typing import Any

from django.core.management.base import CommandError

from remediation.exceptions import ConfigurationError, Conflict, ObserveError
from remediation.management.arguments import TeachingCommand, find_service, find_source, terminal_user
from remediation.models import Rule
from remediation.observe.clients import client_for
from remediation.rules import asking, cases, declared, export, installing, plan, ready, showing
from remediation.rules.declared import Read
from remediation.rules.plan import Terms
from remediation.rules.trial import run as run_trial

DESCRIPTION = """Keep rules in files, in Prometheus' own format, and put them under version control.

  manage.py rules export > rules.yml              every rule as it is
  manage.py rules check rules.yml                 is the file right? asks nobody; --source NAME also asks whether
                                                  that source understands each query
  manage.py rules diff rules.yml                  what would apply do? exit status 1 when it would do anything
  manage.py rules apply rules.yml                 shows the same, asks, and does it: all or nothing
  manage.py rules test tests.yml                  do the rules fire on these series? the format of promtool test rules
  manage.py rules library                         rules that come ready, for node_exporter, PostgreSQL and others
  manage.py rules library install redis --source main

Rule files of Prometheus are read unchanged. What they cannot say stands under `homeostat:`, in a file, a group or a
rule; docs/rules-as-code.md has all of it. `manage.py rules apply --help` says who may change what."""

APPLY = """Make the rules as the files declare them. A plan is shown first; a second apply finds nothing to do.

  manage.py rules apply rules/                    every .yml and .yaml in the folder
  manage.py rules apply a.yml b.yml --yes         without asking, for scripts
  ... | manage.py rules apply - --yes             from standard input
  manage.py rules apply team.yml --owner team-a   as one of several owners
  manage.py rules apply rules/ --prune            also remove what this owner applied and the files no longer have

Every rule made here remembers its owner ("files" unless --owner says otherwise). A rule of another owner, or made by
hand in the admin, is not touched: the plan names it and nothing is done, unless --take-over says that it is yours now.
A rule that has incidents is disabled rather than removed, because they say by which rule they were judged.

`expr: up == 0` is taken apart into the query `up` and the limit 0: then good values can be drawn, and prove a repair.
A series that is no longer returned is well, as in Prometheus, as long as the source is alive. --missing unknown makes
it unknown instead, so that its incident is held; --no-split keeps every expression whole."""

DIFF = """Show what apply would do, and do nothing. The exit status is 1 when that is anything, for CI.

  manage.py rules diff rules/                     added, changed field by field, unchanged, managed elsewhere
  manage.py rules diff rules/ --prune             also what would be removed

It takes what `manage.py rules apply --help` explains, and means the same by it."""

CHECK = """Say everything that is wrong with the files, each with its line; nothing is stored.

  manage.py rules check rules/                    YAML, fields, durations, labels, detectors and their parameters
  manage.py rules check rules/ --source main      also whether the source understands each query; notes what speaks
                                                  against a rule: an unknown label, an empty result, a short window"""

EXPORT = """Print rules as a file that apply reads back without a difference.

  manage.py rules export > rules.yml
  manage.py rules export --owner "" --source main   only those made by hand, for one source
  manage.py rules export --plain > prometheus.yml   only what Prometheus can evaluate too, in its format alone"""

TEST = """Run unit tests of rules: hand-written series in, the alerts that must fire out.

  manage.py rules test tests.yml

The format is that of `promtool test rules`: rule_files, evaluation_interval, tests with input_series and
alert_rule_test. Our own detectors judge; a real Prometheus, started for the test on a port of this machine only,
answers the queries. It is found on the PATH, or where HOMEOSTAT_PROMETHEUS_BIN says."""

LIBRARY = """List the rules that come ready, or install some of them.

  manage.py rules library                               what there is
  manage.py rules library show postgresql               the file itself, to copy and change
  manage.py rules library install node --source main    shows a plan, asks, applies; again after an update
  manage.py rules library install node --disabled       new ones wait until you enable them in the admin

They belong to the owner library:NAME. A further source gets rules of its own, with its name behind theirs and the owner
library:NAME@SOURCE. In the admin they can be switched on and off, which the next install leaves as it is; to change
more, take them over there, or copy the file and apply it as your own."""


class Command(TeachingCommand):
    help = DESCRIPTION

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

        def verb(name: str, text: str) -> ArgumentParser:
            line = text.partition("\n")[0]
            return verbs.add_parser(name, help=line, description=text, formatter_class=RawDescriptionHelpFormatter)

        _filters(verb("export", EXPORT))
        for name in ("diff", "apply"):
            one = verb(name, APPLY if name == "apply" else DIFF)
            _files(one)
            _terms(one)
        _asks(verbs.choices["apply"])
        check = verb("check", CHECK)
        _files(check)
        check.add_argument("--source", default="", metavar="NAME", help="ask this source about each query")
        test = verb("test", TEST)
        test.add_argument("files", nargs="+", metavar="FILE", help="files of tests")
        library = verb("library", LIBRARY)
        library.add_argument("action", nargs="?", choices=["list", "show", "install"], default="list")
        library.add_argument("name", nargs="?", default="", help="which of them")
        library.add_argument("--disabled", action="store_true", help="new rules are not evaluated yet")
        _terms(library, owner=False)
        _asks(library)

    def handle(self, *, verb: str, **options: Any) -> None:
        """Every verb ends in the words of what went wrong, never in a traceback for what a person wrote."""
        verbs: dict[str, Callable[..., None]] = {
            "export": self.export,
            "diff": self.diff,
            "apply": self.apply,
            "check": self.check_files,
            "test": self.test,
            "library": self.library,
        }
        try:
            verbs[verb](**options)
        except (ConfigurationError, ObserveError, Conflict) as error:
            raise CommandError(str(error)) from error

    def export(self, *, source: str, service: str, owner: str | None, plain: bool, **options: Any) -> None:
        rules = Rule.objects.select_related("source", "service").order_by("name")
        if source:
            rules = rules.filter(source=find_source(source))
        if service:
            rules = rules.filter(service=find_service(service))
        if owner is not None:
            rules = rules.filter(managed_by=owner)
        chosen = [rule for rule in rules if not plain or export.for_prometheus(rule)]
        if len(chosen) < len(rules):
            self.stderr.write(f"Left out {_count(len(rules) - len(chosen), 'rule')} that Prometheus cannot evaluate.")
        self.stdout.write(export.as_text(chosen, plain=plain), ending="")

    def diff(self, *, files: list[str], no_split: bool, **options: Any) -> None:
        found = self.read(files, no_split=no_split, missing=options["missing"])
        shown = plan.make(found, _terms_of(options))
        self.stdout.write(showing.as_text(shown))
        if shown.changes or shown.refused:
            raise CommandError("The rules are not as the files say.", returncode=1)

    def apply(self, *, files: list[str], no_split: bool, yes: bool, **options: Any) -> None:
        if "-" in files and not yes:
            raise CommandError("Files from standard input need --yes: there is nobody left to ask.")
        found = self.read(files, no_split=no_split, missing=options["missing"])
        self.carry_out(found, _terms_of(options), yes=yes)

    def carry_out(self, found: Read, terms: Terms, *, yes: bool) -> None:
        shown = plan.make(found, terms)
        self.stdout.write(showing.as_text(shown))
        if shown.refused:
            raise CommandError("Nothing was done: some of these rules are managed elsewhere.")
        if not shown.changes:
            return
        if not yes and not self.agreed():
            raise CommandError("Nothing was done.")
        plan.carry_out(found, shown, terms, author=f"{terminal_user()}, {terms.owner}", now=datetime.now(UTC))
        self.stdout.write("Done.")

    def agreed(self) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("Nothing was done: there is nobody to ask; --yes applies without asking.")
        return input("Apply this? [y/N] ").strip().lower() in ("y", "yes")

    def check_files(self, *, files: list[str], source: str, **options: Any) -> None:
        found = self.read(files)
        if source:
            now, client = datetime.now(UTC).timestamp(), client_for(find_source(source))
            wrong = asking.refused(client, found.rules, now=now)
            if wrong:
                raise CommandError("\n".join(map(str, wrong)))
            for problem in asking.doubted(client, found.rules, now=now):
                self.stderr.write(f"note: {problem}")
        asked = f"; {source} understands every query" if source else ""
        skipped = f"; {_count(len(found.recordings), 'recording rule')} skipped" if found.recordings else ""
        self.stdout.write(f"Nothing is wrong with {_count(len(found.rules), 'rule')}{asked}{skipped}.")

    def test(self, *, files: list[str], **options: Any) -> None:
        failed = 0
        for file in files:
            trial = cases.read(Path(file))
            for note in trial.notes:
                self.stderr.write(f"note: {note}")
            self.stdout.write(f"Unit Testing:  {file}")
            failures = run_trial(trial)
            failed += len(failures)
            for text in failures:
                self.stdout.write("  FAILED:\n" + indent(text, "    "))
            if not failures:
                self.stdout.write("  SUCCESS")
        if failed:
            raise CommandError(f"Not met: {_count(failed, 'expectation')}.")

    def library(self, *, action: str, name: str, yes: bool, **options: Any) -> None:
        if action == "list":
            for shelf in ready.shelves():
                self.stdout.write(f"{shelf.name:<12} {len(shelf.rules()):>2} rules  {shelf.title}")
            return
        shelf = ready.find(name)
        if action == "show":
            self.stdout.write(shelf.text, ending="")
            return
        asked = installing.prepare(shelf, _terms_of(options | {"owner": shelf.owner}), enabled=_enabled(options))
        self.carry_out(asked.found, asked.terms, yes=yes)

    def read(self, files: list[str], *, no_split: bool = False, missing: str = "ok") -> Read:
        names = [name for file in files for name in _expanded(file)]
        texts = [(name, _content(name)) for name in names]
        found = declared.read(texts, split=not no_split, missing=missing)
        for note in found.notes:
            self.stderr.write(f"note: {note}")
        return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _files(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a rule file, a folder of them, or - for stdin")


def _filters(parser: ArgumentParser) -> None:
    parser.add_argument("--source", default="", metavar="NAME", help="only rules of this source")
    parser.add_argument("--service", default="", metavar="NAME", help="only rules of this service")
    parser.add_argument("--owner", default=None, metavar="NAME", help='only rules of this owner; "" for those by hand')
    parser.add_argument("--plain", action="store_true", help="only what Prometheus can evaluate too, without our keys")


def _terms(parser: ArgumentParser, *, owner: bool = True) -> None:
    if owner:
        parser.add_argument("--owner", default="files", metavar="NAME", help='whose rules these are (default "files")')
        parser.add_argument("--no-split", action="store_true", help="keep every expression whole")
        parser.add_argument(
            "--missing",
            choices=["ok", "unknown"],
            default="ok",
            help="what a series is that no longer comes (default ok)",
        )
    parser.add_argument("--source", default="", metavar="NAME", help="for rules that name none; else the only one")
    parser.add_argument("--prune", action="store_true", help="remove this owner's rules that the files do not have")
    parser.add_argument("--take-over", action="store_true", help="also change rules that are managed elsewhere")


def _asks(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _terms_of(options: dict[str, Any]) -> Terms:
    return Terms(**{name: options[name] for name in ("owner", "source", "prune", "take_over")})


def _enabled(options: dict[str, Any]) -> bool | None:
    return False if options["disabled"] else None


def _expanded(file: str) -> list[str]:
    """A folder stands for the rule files in it."""
    path = Path(file)
    if file == "-" or not path.is_dir():
        return [file]
    found = sorted(str(item) for item in path.rglob("*") if item.suffix in (".yml", ".yaml") and item.is_file())
    if not found:
        raise CommandError(f"There is no .yml or .yaml file in {file}.")
    return found


def _content(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise CommandError(f"{file} cannot be read: {why}.") from error
