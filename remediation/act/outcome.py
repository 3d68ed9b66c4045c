"""Turns whatever goes wrong in an effect into one of the two answers the loop can work with."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from remediation.exceptions import ConfigurationError, EffectError, EffectNotStarted, EffectUncertain

log = logging.getLogger(__name__)


@contextmanager
def settled() -> Iterator[None]:
    """Raises EffectNotStarted or EffectUncertain and nothing else. Backends refuse a configuration before they touch
    anything; a mistake in a backend's code says nothing of how far it came."""
    try:
        yield
    except EffectError:
        raise
    except ConfigurationError as error:
        raise EffectNotStarted(str(error)) from error
    except Exception as error:
        log.exception("an effect broke off")
        raise EffectUncertain(f"it broke off with {type(error).__name__}; the log says where") from error
