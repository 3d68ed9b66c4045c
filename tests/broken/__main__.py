"""Prove each invariant: run its tests as they are, and with the product broken, and print the table.

Run: make invariants, or `python -m tests.broken [--only 6,10] [--variant "..."] [--page]`. Exit status 1 where a test
fails by itself, or where a broken product is not found out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import django

from tests import conftest  # noqa: F401 - gives this run a home of its own, before the settings are read


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="numbers of invariants, comma separated: 6,10")
    parser.add_argument("--variant", action="append", default=[], help="this variant only; may be given several times")
    parser.add_argument("--page", action="store_true", help="write docs/invariants.md anew, and run nothing")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    django.setup()
    from tests.broken import page, proof  # noqa: PLC0415 - they import models
    from tests.broken.clauses import CLAUSES  # noqa: PLC0415

    if options.page:
        page.PATH.write_text(page.text())
        return 0
    numbers = {int(one) for one in options.only.split(",") if one}
    began = time.monotonic()
    asked = proof.chosen(CLAUSES, numbers=numbers, variants=set(options.variant))
    lines = proof.prove(asked)
    return proof.report(lines, seconds=time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())
