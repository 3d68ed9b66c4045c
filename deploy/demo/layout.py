"""Which processes the shop has, and under which job and target name Prometheus sees each."""

from deploy.demo.config import WORKERS, DemoConfig

# supervisord process -> (module under deploy.demo.shop, started with supervisord)
PROCESSES: dict[str, tuple[str, bool]] = {
    "payments": ("payments", True),
    "queue": ("jobs", True),
    "store-1": ("store", True),
    "store-2": ("store", True),
    "app-1": ("web", True),
    "app-2": ("web", True),
    **{name: ("worker", name in WORKERS[:2]) for name in WORKERS},
    "traffic": ("traffic", True),
    "stagehand": ("stagehand", True),
}

# Prometheus job -> names of the ports it scrapes
JOBS: dict[str, tuple[str, ...]] = {
    "web": ("app-1", "app-2"),
    "payments": ("payments",),
    "queue": ("queue",),
    "worker": WORKERS,
    "store": ("store-1", "store-2"),
    "traffic": ("traffic",),
    "edge": ("haproxy",),
}


def targets_of(config: DemoConfig, job: str) -> dict[str, str]:
    """`{target: address}` of a job."""
    return {name: config.address(name) for name in JOBS[job]}
