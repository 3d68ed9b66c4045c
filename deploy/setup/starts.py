"""Imports what web, workers and beat import when they start, so that a package that is missing shows at once.

Run by .ci/run in an environment that holds nothing but the runtime's packages.
"""

import importlib
import os

MODULES = (
    "dashboard.asgi",
    "dashboard.up",
    "dashboard.management.commands.demo",
    "remediation.tasks",
    "remediation.schedule",
    "kombu.transport.redis",
    "celery.apps.worker",
    "celery.apps.beat",
    "celery.concurrency.thread",
    "channels_redis.pubsub",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
    "psycopg",
    "supervisor.supervisord",
    "deploy.demo.stack",
    "deploy.demo.load",
    "deploy.demo.shop.web",
)


def main() -> None:
    import django  # noqa: PLC0415 - the environment is set first

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    django.setup()
    for name in MODULES:
        importlib.import_module(name)
    print(f"{len(MODULES)} modules import")


if __name__ == "__main__":
    main()
