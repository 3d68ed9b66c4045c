"""What can go wrong, by what the caller should do about it."""


class HomeostatError(Exception):
    """Root of everything Homeostat raises on purpose. The message is written for the person who reads it."""


class ConfigurationError(HomeostatError):
    """Something a person configured cannot work; trying again does not help."""


class UnknownPlugin(ConfigurationError):
    """A stored name of a detector, verb, backend or guard that is not installed."""


class ObserveError(HomeostatError):
    """A source gave no usable answer. The verdicts it was asked for are unknown."""


class SourceFailed(ObserveError):
    """The source itself did not answer as a source does: unreachable, timed out, not Prometheus, broken answer. Any
    other ObserveError is about one question, and says nothing about what the source answers to others."""


class QueryRefused(ObserveError):
    """The source understood the question and refuses it (bad PromQL): the rule needs an edit."""


class MatcherError(ConfigurationError):
    """A matcher that cannot be read, or whose regular expression takes too long."""


class EffectError(HomeostatError):
    """An effect on a target went wrong."""


class EffectNotStarted(EffectError):
    """The target was certainly not touched (refused, unreachable before anything was sent)."""


class EffectUncertain(EffectError):
    """The effect may have taken place: only a probe can tell."""


class OwnProcess(ConfigurationError):
    """The target is a part of Homeostat itself; acting on it would cut the branch it sits on."""


class Conflict(HomeostatError):
    """Somebody or something was quicker, or what was signed is no longer what would be done."""


class NotAllowed(HomeostatError):
    """This person may not do this."""
