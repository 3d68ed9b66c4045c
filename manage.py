#!/usr/bin/env python3
"""Run Homeostat's commands: `python manage.py help`."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - the message below needs it here
    except ImportError:
        sys.exit("Django is not installed in this Python. Run `make run` or `make test`: they set everything up.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
