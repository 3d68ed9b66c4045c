"""The real servers of the demo and the tests: Prometheus, promtool, Alertmanager and HAProxy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deploy.setup import debian
from deploy.setup.steps import CommandFailed, SetupError, run, say
from deploy.tools import ToolMissing, find

# Debian's Alertmanager reads its templates from here and cannot be told otherwise. In our unpacked copy the same number
# of bytes names file descriptor 9 instead, which the wrapper opens on the unpacked templates: unlike a bind mount this
# needs neither root nor user namespaces. A build without this path holds its templates inside and stays as it is.
FIXED_FOLDER = b"/usr/share/prometheus/alertmanager"
DESCRIPTOR = b"/proc/self/fd".ljust(len(FIXED_FOLDER) - 1, b"/") + b"9"
OPEN_TEMPLATES = 'exec 9<"$root/usr/share/prometheus/alertmanager"'


@dataclass(frozen=True, kw_only=True)
class Server:
    """One program and where Debian's package puts it."""

    package: str
    program: str
    version_flag: str = "--version"
    before: tuple[str, ...] = ()  # lines of the wrapper that come before the program


SERVERS = {
    "prometheus": Server(package="prometheus", program="usr/bin/prometheus"),
    "promtool": Server(package="prometheus", program="usr/bin/promtool"),
    "alertmanager": Server(
        package="prometheus-alertmanager", program="usr/bin/prometheus-alertmanager", before=(OPEN_TEMPLATES,)
    ),
    "haproxy": Server(package="haproxy", program="usr/sbin/haproxy", version_flag="-v"),
}


def install() -> None:
    """Bring what is not on this machine yet; what the person installed or chose is used as it is."""
    missing = [name for name in SERVERS if not present(name)]
    if not missing:
        return
    say(f"{', '.join(missing)} ...")
    try:
        debian.unpack(sorted({SERVERS[name].package for name in missing}))
        free_templates(debian.ROOTFS / SERVERS["alertmanager"].program)
        for name in missing:
            bring(name, SERVERS[name])
    except CommandFailed as error:
        raise SetupError(explain(missing, error)) from error


def present(name: str) -> bool:
    """Tell whether a program is here already."""
    try:
        find(name)
    except ToolMissing:
        return False
    return True


def bring(name: str, server: Server) -> None:
    """Put a wrapper in place for an unpacked program that runs."""
    wrapped = debian.wrapper(name, server.program, before=server.before)
    try:
        run([wrapped, server.version_flag], timeout=60)
    except CommandFailed:
        wrapped.unlink()
        raise


def free_templates(program: Path) -> None:
    """Let an unpacked Alertmanager find its templates beside it."""
    if program.exists():
        program.write_bytes(program.read_bytes().replace(FIXED_FOLDER, DESCRIPTOR))


def explain(missing: list[str], error: CommandFailed) -> str:
    """Say what is missing, what for, and how to get it by hand."""
    packages = " ".join(sorted({SERVERS[name].package for name in missing}))
    variables = "\n".join(f"    HOMEOSTAT_{name.upper()}_BIN=/where/{name}/is" for name in missing)
    return (
        f"{error}\n\n{', '.join(missing)} could not be set up here. The demo and the acceptance tests run the real "
        f"servers.\nInstall them yourself, on Debian and Ubuntu with\n    sudo apt-get install {packages}\n"
        f"(which also starts them as services), or name your own:\n{variables}"
    )
