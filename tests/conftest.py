"""Every test run gets a home of its own: no file of a real installation is read or written."""

import os
import tempfile

os.environ["HOMEOSTAT_HOME"] = tempfile.mkdtemp(prefix="homeostat-test-")
for name in ("HOMEOSTAT_REDIS_URL", "HOMEOSTAT_DEMO", "PROMETHEUS_URL"):
    os.environ.pop(name, None)
