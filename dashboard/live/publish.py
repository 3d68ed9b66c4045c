"""Announces committed changes to the browsers."""


def connect() -> None: ...
