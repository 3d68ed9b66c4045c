"""A worker that is broken on purpose: it sends every request twice. With it the matrix has to find violations.

Stands in for `python -m celery`; the product knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.__main__ import main

from remediation.targets import http

_send: Callable[..., Any] = vars(http)["send"]


def twice(method: str, url: str, **options: Any) -> Any:
    if method != "GET":
        _send(method, url, **options)
    return _send(method, url, **options)


if __name__ == "__main__":
    vars(http)["send"] = twice
    main()
