"""Every test run gets a home of its own: no file of a real installation is read or written."""

import atexit
import os
import shutil
import tempfile

import django
import pytest
from django.conf import settings

if "HOMEOSTAT_TEST_HOME" not in os.environ:  # pytest that is started by this one, for tests side by side, shares it
    home = tempfile.mkdtemp(prefix="homeostat-test-")
    os.environ["HOMEOSTAT_TEST_HOME"] = os.environ["HOMEOSTAT_HOME"] = home
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in ("HOMEOSTAT_REDIS_URL", "HOMEOSTAT_DEMO", "PROMETHEUS_URL"):
        os.environ.pop(name, None)
    # Not in pyproject.toml: settings named there are read before this file is.
    os.environ["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"

# Here, because the conftest of a folder below may import models.
django.setup()
if str(settings.HOMEOSTAT_HOME) != os.environ["HOMEOSTAT_TEST_HOME"]:
    raise RuntimeError("the settings were read before the tests had a home of their own: unset DJANGO_SETTINGS_MODULE")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, the long files come first: at the end one of them would run alone for minutes."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (not item.get_closest_marker("acceptance"), not item.get_closest_marker("browser")))
