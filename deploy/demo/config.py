"""Every address of one running demo, kept in a file that all its processes read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

WORKERS = tuple(f"worker-{number}" for number in range(1, 6))

# What has a port, in the order in which ports are given out. The part before the slash is the service
# (and Prometheus' job), the part after it the process.
PORT_NAMES = (
    "front",  # HAProxy: where customers come in
    "store",  # HAProxy: where the shop finds whichever store is in use
    "haproxy",  # HAProxy: its own exporter
    "app-1",
    "app-2",
    "payments",
    "queue",
    "store-1",
    "store-2",
    "traffic",
    "prometheus",
    "alertmanager",
    *WORKERS,
)


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Where everything of one demo is. `folder` is `<home>/demo`; `sockets` is short enough for unix sockets."""

    folder: Path
    sockets: Path
    homeostat_port: int
    ports: dict[str, int]

    def address(self, name: str) -> str:
        """`127.0.0.1:port` of a process or entrance."""
        return f"127.0.0.1:{self.ports[name]}"

    def url(self, name: str) -> str:
        return f"http://{self.address(name)}"

    @property
    def path(self) -> Path:
        return self.folder / "demo.json"

    @property
    def front_url(self) -> str:
        return self.url("front")

    @property
    def prometheus_url(self) -> str:
        return self.url("prometheus")

    @property
    def alertmanager_url(self) -> str:
        return self.url("alertmanager")

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.homeostat_port}/api/ingest/alertmanager/"

    @property
    def webhook_token_path(self) -> Path:
        return self.folder / "webhook.token"

    @property
    def supervisor_socket(self) -> Path:
        return self.sockets / "supervisor.sock"

    @property
    def supervisor_url(self) -> str:
        return f"unix://{self.supervisor_socket}"

    @property
    def haproxy_socket(self) -> Path:
        return self.sockets / "haproxy.sock"

    @property
    def targets_folder(self) -> Path:
        """The folder of Prometheus' file_sd lists, one file per job."""
        return self.folder / "prometheus" / "targets"

    @property
    def prometheus_store(self) -> Path:
        return self.folder / "prometheus" / "store"

    @property
    def faults_path(self) -> Path:
        return self.folder / "faults.json"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def save(self) -> None:
        """Write the file; the derived addresses are there for people, `load` reads only the fields."""
        fields = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()}
        derived = {
            "front_url": self.front_url,
            "prometheus_url": self.prometheus_url,
            "alertmanager_url": self.alertmanager_url,
            "webhook_url": self.webhook_url,
            "webhook_token_path": str(self.webhook_token_path),
            "supervisor_url": self.supervisor_url,
            "haproxy_socket": str(self.haproxy_socket),
        }
        self.path.write_text(json.dumps({**fields, "addresses": derived}, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "DemoConfig":
        stored = json.loads(path.read_text())
        return cls(
            folder=Path(stored["folder"]),
            sockets=Path(stored["sockets"]),
            homeostat_port=stored["homeostat_port"],
            ports=stored["ports"],
        )
