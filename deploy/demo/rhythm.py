"""How busy the shop is at a given moment; shared by the live generator and the history written before it."""

import math

BROWSE_PER_S = 15.0
ORDERS_PER_S = 5.0


def wave(at: float) -> float:
    """The factor on the steady rates at unix time `at`, between 0.85 and 1.15.

    It depends on the wall clock alone, so that the history that is made up before the start
    runs without a step into what the generator really sends.
    """
    return 1.0 + 0.11 * math.sin(2 * math.pi * at / 2400) + 0.04 * math.sin(2 * math.pi * at / 420)
