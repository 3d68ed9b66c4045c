"""Brings the translations' files up to date with the texts that are marked; needs no gettext programs."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand

from dashboard.catalogue import PLURAL_FORMS
from dashboard.extraction import brought_up_to_date, save
from dashboard.home import BASE_DIR
from remediation import registry
from remediation.admin.params import label_of
from remediation.models import names

SOURCES = {"dashboard": ("dashboard", "templates", "deploy/demo"), "remediation": ("remediation",)}
"""Whose catalogue holds the texts of which directories."""


def derived(app: str) -> list[str]:
    """Names that follow from code and are written nowhere: those of models and their fields, of states, and of our
    plug-ins' parameters."""
    if app != "remediation":
        return []
    return list(dict.fromkeys([*names.named(apps.get_app_config(app)), *names.of_states(), *_parameters()]))


def _parameters() -> Iterator[str]:
    for found in (registry.detectors(), registry.backends(), registry.verbs()):
        for plugin in found.values():
            if type(plugin).__module__.startswith("remediation."):
                yield from (label_of(name) for name, info in plugin.Params.model_fields.items() if not info.title)


class Command(BaseCommand):
    help = (
        "Brings <app>/locale/<language>/LC_MESSAGES/django.po up to date with the marked texts of templates and "
        "Python. Translations are kept; what is new stands there empty. Restart Homeostat to read them anew."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--missing", action="store_true", help="write nothing; list what has no translation")

    def handle(self, *args: Any, missing: bool, **options: Any) -> None:
        for app, directories in SOURCES.items():
            for language in PLURAL_FORMS:
                locale = BASE_DIR / app / "locale"
                sources = [BASE_DIR / name for name in directories]
                found = brought_up_to_date(BASE_DIR, locale, language, sources, derived(app))
                empty = [one for one in found if not one.strings]
                if not missing:
                    save(locale, language, found)
                for one in empty if missing else ():
                    self.stdout.write(f"{one.places[0]}: {one.id}")
                self.stdout.write(f"{app}, {language}: {len(found)} texts, {len(empty)} without a translation")
