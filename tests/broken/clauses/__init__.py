"""What the twenty invariants of the design say, clause by clause."""

from tests.broken.clauses import (
    acting,
    approving,
    attaching,
    failing,
    guards,
    proving,
    rows,
    versions,
    watching,
)
from tests.broken.variant import Clause

_FILES = (acting, approving, attaching, failing, guards, proving, rows, versions, watching)
CLAUSES: tuple[Clause, ...] = tuple(
    sorted((clause for file in _FILES for clause in file.CLAUSES), key=lambda one: one.number)
)
