"""Takes payments: the service that web cannot take an order without."""

import signal
import time

from deploy.demo.shop.service import Reply, Request, Service, begin, dice


def pay(request: Request) -> Reply:
    """Pretend to talk to a bank for some milliseconds."""
    time.sleep(dice.uniform(0.008, 0.02))
    return Reply(body={"paid": request.body["id"]})


def main() -> None:
    name, config = begin()
    Service(name, {("POST", "pay"): ("pay", pay)}).serve(config.ports[name])
    signal.pause()


if __name__ == "__main__":
    main()
