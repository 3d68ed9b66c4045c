"""Finds plug-ins by name. A detector, verb, backend or guard is one file in its package, or an entry point."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy
from pydantic import BaseModel, ConfigDict, ValidationError

from remediation.exceptions import ConfigurationError, UnknownPlugin
from remediation.schema_errors import in_words

if TYPE_CHECKING:
    from remediation.act.base import Verb
    from remediation.decide.guards.base import Guard
    from remediation.detect.base import Detector
    from remediation.targets.base import Backend

log = logging.getLogger(__name__)


class Params(BaseModel):
    """Typed parameters of a plug-in: the admin's form, the API's schema and the validation all follow from them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnyParams = Params
"""The same under a name that a plug-in's own `Params` does not hide."""


class Plugin:
    """What every plug-in has. `name` is stored in the database, so it never changes."""

    name: ClassVar[str]
    label: ClassVar[str]
    Params: ClassVar[type[AnyParams]] = AnyParams

    @classmethod
    def parse(cls, params: dict[str, Any]) -> AnyParams:
        """The typed parameters. Raises ConfigurationError that names each wrong field."""
        try:
            return cls.Params.model_validate(params)
        except ValidationError as error:
            label = gettext(cls.label)
            wrong = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or label}: {in_words(item)}" for item in error.errors()
            )
            raise ConfigurationError(f"{label}: {wrong}") from error

    @classmethod
    def help(cls) -> str:
        """The docstring: when to use it and where it comes from."""
        return inspect.getdoc(cls) or ""

    @classmethod
    def use(cls) -> str:
        """When to use it: the docstring's first paragraph, in the reader's language."""
        return gettext(" ".join(cls.help().split("\n\n")[0].split()))


_broken: dict[str, list[str]] = {}
"""Names of entry points that do not load, by their group."""


@cache
def _found(package: str, base: str, group: str) -> dict[str, Plugin]:
    """All concrete plug-ins: those in the package's own modules, then those of entry points."""
    root = importlib.import_module(package)
    module, _, class_name = base.rpartition(".")
    kind = getattr(importlib.import_module(module), class_name)
    classes: list[Any] = []
    _broken.pop(group, None)
    for info in pkgutil.iter_modules(root.__path__, f"{package}."):
        found = vars(importlib.import_module(info.name)).values()
        classes += [item for item in found if inspect.isclass(item) and item.__module__ == info.name]
    for point in entry_points(group=group):
        try:
            classes.append(point.load())
        except Exception:
            log.exception("entry point %s of group %s does not load", point.name, group)
            _broken.setdefault(group, []).append(point.name)
    usable: list[type[Plugin]] = [
        item for item in classes if issubclass(item, kind) and not inspect.isabstract(item) and "name" in vars(item)
    ]
    return {item.name: item() for item in sorted(usable, key=lambda item: item.name)}


def detectors() -> dict[str, Detector]:
    return _found("remediation.detect", "remediation.detect.base.Detector", "homeostat.detectors")  # type: ignore[return-value]


def backends() -> dict[str, Backend]:
    return _found("remediation.targets", "remediation.targets.base.Backend", "homeostat.backends")  # type: ignore[return-value]


def verbs() -> dict[str, Verb]:
    return _found("remediation.act", "remediation.act.base.Verb", "homeostat.verbs")  # type: ignore[return-value]


def guards() -> dict[str, Guard]:
    return _found("remediation.decide.guards", "remediation.decide.guards.base.Guard", "homeostat.guards")  # type: ignore[return-value]


def broken_guards() -> list[str]:
    """Guards that are installed and cannot be loaded, so that nobody knows what they would say."""
    guards()
    return list(_broken.get("homeostat.guards", ()))


def _get(found: dict[str, Any], kind: str, name: str) -> Any:
    try:
        return found[name]
    except KeyError:
        said = gettext_lazy("there is no {kind} named {name}; installed: {names}")
        names = ", ".join(found) or gettext_lazy("none")
        raise UnknownPlugin(format_lazy(said, kind=gettext_lazy(kind), name=repr(name), names=names)) from None


def detector(name: str) -> Detector:
    """Raises UnknownPlugin."""
    found: Detector = _get(detectors(), "detector", name)
    return found


def backend(name: str) -> Backend:
    """Raises UnknownPlugin."""
    found: Backend = _get(backends(), "backend", name)
    return found


def verb(name: str) -> Verb:
    """Raises UnknownPlugin."""
    found: Verb = _get(verbs(), "verb", name)
    return found
