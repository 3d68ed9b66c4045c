"""Ends what ends by itself: a traffic dip, an overload, a scrape gap. Not a part of the shop that customers know."""

import time
from contextlib import suppress

from deploy.demo import faults
from deploy.demo.shop.calls import UnavailableError
from deploy.demo.shop.service import begin


def main() -> None:
    _, config = begin()
    while True:
        with suppress(OSError, UnavailableError):  # it is due again in a second
            faults.end_what_is_due(config)
        time.sleep(1)


if __name__ == "__main__":
    main()
