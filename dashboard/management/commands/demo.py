"""The demo: a small shop on this machine, watched by a real Prometheus and healed by Homeostat."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from dashboard import up
from dashboard.descent import die_with_parent
from dashboard.home import BASE_DIR, DEFAULT_HOME
from dashboard.processes import ChildFailed, Family, Interrupted
from deploy.tools import ToolMissing

DESCRIPTION = """Run a small shop with real faults to break, and watch Homeostat heal it.

  manage.py demo                starts everything and stays until Ctrl-C
  manage.py demo faults         lists what can be broken, and what is
  manage.py demo break crash    breaks one thing in the demo that runs
  manage.py demo mend [NAME]    undoes one fault, or everything

`manage.py incidents` shows what came of it. The web is at port 8000 unless HOMEOSTAT_PORT says otherwise."""


class Command(BaseCommand):
    help = DESCRIPTION
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", nargs="?", default="run", choices=["run", "faults", "break", "mend"])
        parser.add_argument("name", nargs="?", default="", help="the fault")
        parser.add_argument("--with-parent", action="store_true", help="stop when the process that started this ends")

    def handle(self, *args: Any, action: str, name: str, with_parent: bool, **options: Any) -> None:
        if action == "run":
            if with_parent:
                die_with_parent()
            sys.exit(self.run_demo())
        actions: dict[str, Callable[[str], None]] = {"faults": self.faults, "break": self.break_, "mend": self.mend}
        actions[action](name)

    # --- the running demo ---

    def run_demo(self) -> int:
        home = _own_home()
        if home != Path(settings.HOMEOSTAT_HOME) or not settings.HOMEOSTAT_DEMO:
            _start_again(home)
        with Family() as family:
            try:
                return self._run(family, home)
            except Interrupted:
                return 0
            except _demo_errors() as error:
                raise CommandError(str(error)) from error

    def _run(self, family: Family, home: Path) -> int:
        from deploy.demo import stack  # noqa: PLC0415 - only the demo needs what it imports

        installation = up.Installation.from_settings({"HOMEOSTAT_DEMO": "1"})
        up.claim(family, installation, port_again="make demo")
        family.say("Preparing the shop and two hours of its history ...")
        config = stack.prepare(home, installation.port)
        up.prepare(family, hints=False)
        _load(config)
        family.say("Starting the shop, its Prometheus and its Alertmanager ...")
        family.start_together(stack.children(config))
        up.start(family, installation)
        family.say(_welcome(installation.url, config.prometheus_url, config.front_url))
        return family.wait()

    # --- from a second terminal ---

    def faults(self, _name: str) -> None:
        from deploy.demo import faults  # noqa: PLC0415

        config = _running_config()
        active = {one.fault.name for one in faults.active(config)} if config else set()
        for fault in faults.list_faults():
            mark = "*" if fault.name in active else " "
            real = "" if fault.real else " (not a fault)"
            self.stdout.write(f"{mark} {fault.name:<14}{fault.what}{real}")
            self.stdout.write(f"  {'':<14}{fault.expect}")
        if active:
            self.stdout.write("\n* is broken now. Undo it: manage.py demo mend")
        elif config is None:
            self.stdout.write("\nNo demo runs now. Start it: make demo")

    def break_(self, name: str) -> None:
        from deploy.demo import faults  # noqa: PLC0415

        self._do(lambda config: f"{faults.break_(name, config).fault.title}: {faults.get(name).what}")

    def mend(self, name: str) -> None:
        from deploy.demo import faults  # noqa: PLC0415

        self._do(lambda config: _mended(faults, name, config))

    def _do(self, action: Callable[[Any], str]) -> None:
        config = _running_config()
        if config is None:
            raise CommandError("No demo runs over this home. Start it with `make demo`, then try again.")
        try:
            self.stdout.write(action(config))
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        except _demo_errors() as error:
            raise CommandError(str(error)) from error


def _mended(faults: Any, name: str, config: Any) -> str:
    """Undo, and say what was broken: undoing everything also starts what somebody stopped by other means."""
    broken = [one.fault.name for one in faults.active(config)]
    mended = faults.mend(name or None, config)
    if name:
        return f"Mended: {', '.join(mended)}."
    return f"Mended: {', '.join(broken)}." if broken else "Nothing was broken; everything that should run does."


def _own_home() -> Path:
    """The demo's users have a known password, so it never shares a home with a real installation."""
    told = os.environ.get("HOMEOSTAT_HOME")
    return Path(told).resolve() if told else DEFAULT_HOME / "demo"


def _start_again(home: Path) -> None:
    """Settings are read once: replace this process by one that reads the demo's."""
    os.environ |= {"HOMEOSTAT_HOME": str(home), "HOMEOSTAT_DEMO": "1"}
    os.execv(sys.executable, [sys.executable, str(BASE_DIR / "manage.py"), *sys.argv[1:]])  # noqa: S606


def _demo_errors() -> tuple[type[Exception], ...]:
    from deploy.demo import load, stack  # noqa: PLC0415
    from deploy.demo.shop.calls import UnavailableError  # noqa: PLC0415

    ours = (stack.DemoRunningError, stack.NoPortsError, load.NotADemo, UnavailableError)
    return (*ours, up.CannotStart, ChildFailed, ToolMissing)


def _load(config: Any) -> None:
    from deploy.demo import load  # noqa: PLC0415 - needs loaded models

    try:
        load.load(config)
    finally:
        connections.close_all()


def _running_config() -> Any | None:
    """The configuration of the demo over this home, or None when none runs."""
    from deploy.demo.config import DemoConfig  # noqa: PLC0415

    home = Path(settings.HOMEOSTAT_HOME)
    path = home / "demo" / "demo.json"
    if not path.exists() or not (home / "run" / "up.json").exists():
        return None
    return DemoConfig.load(path)


def _welcome(url: str, prometheus: str, shop: str) -> str:
    return f"""
  Homeostat is at   {url}
  sign in as        viewer, operator, approver or admin; password demo
  break something   {url}demo/   or, in a second terminal:
                    .venv/bin/python manage.py demo faults
                    .venv/bin/python manage.py demo break crash
                    .venv/bin/python manage.py incidents
  the shop          {shop}
  its Prometheus    {prometheus}
  Ctrl-C stops everything.
"""
