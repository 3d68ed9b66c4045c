"""Set-up: what it does once, what it does again, what it says, and that what it brings really runs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import tools
from deploy.setup import bootstrap, debian, node_packages, servers, steps
from deploy.setup.steps import ROOT, CommandFailed, once

SIMULATED = """\
Reading package lists...
The following NEW packages will be installed:
  haproxy liblua5.3-0
Inst libc6 [2.36-9] (2.36-9+deb12u1 Debian:12 [amd64])
Inst liblua5.3-0 (5.3.6-2 Debian:12.15/oldstable [amd64])
Inst haproxy [2.6.1-1] (2.6.12-1+deb12u4 Debian-Security:12/oldstable-security [amd64]) []
Conf liblua5.3-0 (5.3.6-2 Debian:12.15/oldstable [amd64])
"""


@pytest.fixture
def tools_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.tools` of the test's own, and a PATH with nothing on it."""
    folder = tmp_path / "tools"
    (folder / "bin").mkdir(parents=True)
    monkeypatch.setattr(tools, "TOOLS_DIR", folder)
    monkeypatch.setattr(tools, "ADMIN_FOLDERS", ())
    monkeypatch.setattr(debian, "TOOLS", folder)
    monkeypatch.setattr(debian, "ROOTFS", folder / "root")
    monkeypatch.setattr(steps, "LOG", folder / "setup.log")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("HOMEOSTAT_ALERTMANAGER_BIN", raising=False)
    return folder


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """Write an executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


class TestFind:
    """Where a program is looked for."""

    def test_find_when_several_are_there_takes_the_chosen_then_the_unpacked_then_the_installed(
        self, tools_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed = program(tmp_path / "path" / "prometheus-alertmanager")
        assert tools.find("alertmanager") == installed

        unpacked = program(tools_folder / "bin" / "alertmanager")
        assert tools.find("alertmanager") == unpacked

        chosen = program(tmp_path / "my own" / "am")
        monkeypatch.setenv("HOMEOSTAT_ALERTMANAGER_BIN", str(chosen))
        assert tools.find("alertmanager") == chosen

    def test_find_outside_the_path_of_an_ordinary_user_finds_sbin(
        self, tools_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tools, "ADMIN_FOLDERS", (str(tmp_path / "sbin"),))
        installed = program(tmp_path / "sbin" / "haproxy")
        assert tools.find("haproxy") == installed

    def test_find_when_nothing_is_there_says_what_to_type(self, tools_folder: Path) -> None:
        with pytest.raises(tools.ToolMissing, match=r"bootstrap\.py --for test.*HOMEOSTAT_ALERTMANAGER_BIN"):
            tools.find("alertmanager")

    def test_find_when_the_chosen_one_does_not_exist_does_not_take_another(
        self, tools_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program(tools_folder / "bin" / "alertmanager")
        monkeypatch.setenv("HOMEOSTAT_ALERTMANAGER_BIN", "/nowhere/am")
        with pytest.raises(tools.ToolMissing, match="names '/nowhere/am'"):
            tools.find("alertmanager")


class TestOnce:
    """A step is done once per state of its inputs."""

    @pytest.fixture
    def done(self) -> list[str]:
        return []

    @pytest.fixture
    def step(self, tmp_path: Path, done: list[str]) -> Callable[[bytes], None]:
        def run_step(content: bytes) -> None:
            once("a step", stamp=tmp_path / "new" / "stamp", inputs=[content], do=lambda: done.append("done"))

        return run_step

    def test_once_with_the_same_inputs_is_quiet_and_does_nothing(
        self, step: Callable[[bytes], None], done: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        step(b"a")
        step(b"a")
        assert done == ["done"]
        assert capsys.readouterr().out == "set-up: a step ...\n"

    def test_once_with_other_inputs_does_it_again(self, step: Callable[[bytes], None], done: list[str]) -> None:
        for content in (b"a", b"b", b"a"):
            step(content)
        assert len(done) == 3

    def test_once_interrupted_does_it_again(self, tmp_path: Path, done: list[str]) -> None:
        def interrupted() -> None:
            raise KeyboardInterrupt

        stamp = tmp_path / "stamp"
        once("a step", stamp=stamp, inputs=[b"a"], do=lambda: done.append("first"))
        with pytest.raises(KeyboardInterrupt):
            once("a step", stamp=stamp, inputs=[b"b"], do=interrupted)
        once("a step", stamp=stamp, inputs=[b"a"], do=lambda: done.append("again"))
        assert done == ["first", "again"]


class TestRun:
    """Commands keep what they print and fail in words."""

    def test_run_failing_shows_the_end_and_logs_all(self, tools_folder: Path) -> None:
        talkative = "import sys; print('\\n'.join(map(str, range(100)))); sys.exit('no luck')"
        with pytest.raises(CommandFailed) as failure:
            steps.run([sys.executable, "-c", talkative])
        assert str(failure.value).splitlines()[-1] == "no luck"
        assert "\n50\n" not in str(failure.value)
        assert "\n50\n" in (tools_folder / "setup.log").read_text()

    def test_run_of_a_program_that_is_not_there_fails_the_same_way(self, tools_folder: Path) -> None:
        with pytest.raises(CommandFailed, match="No such file"):
            steps.run(["/nowhere/apt-get"])


class TestPython:
    """The interpreter that set-up goes on with."""

    def test_suitable_python_when_this_one_fits_is_this_one(self) -> None:
        assert bootstrap.suitable_python() == sys.executable

    @pytest.mark.parametrize("version", [(3, 10, 12), (3, 14, 0)])
    def test_suitable_python_when_this_one_does_not_fit_is_the_newest_on_the_path(
        self, version: tuple[int, ...], tools_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "version_info", version)
        assert bootstrap.suitable_python() is None
        program(tmp_path / "path" / "python3.11")
        newest = program(tmp_path / "path" / "python3.12")
        assert bootstrap.suitable_python() == str(newest)

    def test_main_without_any_python_that_fits_says_so(
        self, tools_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "version_info", (3, 9, 2))
        with pytest.raises(SystemExit, match=r"needs Python 3\.11, 3\.12 or 3\.13; .* is Python 3\.9\.2"):
            bootstrap.main()


class TestUnpacking:
    """Debian packages without installing them."""

    def test_planned_reads_names_and_new_versions(self) -> None:
        assert debian.PLANNED.findall(SIMULATED) == [
            ("libc6", "2.36-9+deb12u1"),
            ("liblua5.3-0", "5.3.6-2"),
            ("haproxy", "2.6.12-1+deb12u4"),
        ]

    @pytest.mark.parametrize(("package", "never"), [("libc6", True), ("libjs-d3", True), ("libcap2", False)])
    def test_never_unpacks_the_c_library(self, package: str, never: bool) -> None:
        assert bool(debian.NEVER.fullmatch(package)) is never

    def test_wrapper_runs_the_program_as_the_process_that_was_started(
        self, tools_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", os.defpath)
        program(tools_folder / "root/usr/bin/thing", '#!/bin/sh\necho "$$ $LD_LIBRARY_PATH $1"\n')
        library = tools_folder / "root/usr/lib/x86_64-linux-gnu/libthing.so.1"
        library.parent.mkdir(parents=True)
        library.touch()
        debian.wrapper("thing", "usr/bin/thing")
        moved = tools_folder.rename(tmp_path / "moved")

        with subprocess.Popen([moved / "bin/thing", "one two"], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            answer = process.stdout.read().strip()
        folder = f"{moved}/bin/../root/usr/lib/x86_64-linux-gnu"
        assert answer == f"{process.pid} {folder} one two"

    def test_free_templates_keeps_the_length_of_the_program(self, tmp_path: Path) -> None:
        built = tmp_path / "alertmanager"
        built.write_bytes(b"\x7fELF..." + servers.FIXED_FOLDER + b"12345")
        servers.free_templates(built)
        changed = built.read_bytes()
        assert len(changed) == len(b"\x7fELF..." + servers.FIXED_FOLDER + b"12345")
        assert os.path.normpath(changed[7:-5].decode()) == "/proc/self/fd/9"

    def test_free_templates_without_the_fixed_folder_changes_nothing(self, tmp_path: Path) -> None:
        built = tmp_path / "alertmanager"
        built.write_bytes(b"templates inside")
        servers.free_templates(built)
        assert built.read_bytes() == b"templates inside"

    def test_explain_names_packages_and_variables(self) -> None:
        text = servers.explain(["promtool", "haproxy"], CommandFailed("apt-get is not here"))
        assert "sudo apt-get install haproxy prometheus\n" in text
        assert "HOMEOSTAT_HAPROXY_BIN=" in text


class TestLockFiles:
    """Pinned, hashed, and without any address."""

    @pytest.mark.parametrize("file", sorted(steps.SETUP.glob("requirements*.txt")), ids=lambda path: path.name)
    def test_requirements_are_pinned_and_hashed_and_hold_no_address(self, file: Path) -> None:
        text = file.read_text()
        assert not re.search(r"://|^\s*--(?!hash)|^-", text, re.MULTILINE)
        entries = re.split(r"\n(?=[a-z])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
        assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []

    def test_package_lock_holds_no_address(self) -> None:
        lock = (node_packages.FRONTEND / "package-lock.json").read_text()
        assert '"integrity": "sha512-' in lock
        assert '"resolved"' not in lock

    def test_charts_are_where_django_serves_them_from(self) -> None:
        assert (node_packages.FRONTEND / "node_modules/uplot/dist/uPlot.iife.min.js").is_file()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def started(*command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server as long as the block lasts."""
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def answers(url: str, *, within: float = 15) -> bool:
    """Tell whether an address answers 200 in time."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - an address of this test's own
                return bool(response.status == 200)
        except OSError:
            time.sleep(0.1)
    return False


@pytest.mark.real
class TestServers:
    """What set-up brought starts, answers, and is the process that the starter knows."""

    def test_prometheus_starts_and_ends(self, tmp_path: Path) -> None:
        config = tmp_path / "prometheus.yml"
        config.write_text("global: {scrape_interval: 1s}\n")
        subprocess.run([tools.find("promtool"), "check", "config", config], check=True, capture_output=True)
        port = free_port()
        flags = (f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb")
        with started(tools.find("prometheus"), *flags, f"--web.listen-address=127.0.0.1:{port}") as process:
            assert answers(f"http://127.0.0.1:{port}/-/ready")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0

    def test_alertmanager_starts_reads_its_templates_and_ends(self, tmp_path: Path) -> None:
        config = tmp_path / "alertmanager.yml"
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        port = free_port()
        flags = (f"--config.file={config}", f"--storage.path={tmp_path}/am", "--cluster.listen-address=")
        with started(tools.find("alertmanager"), *flags, f"--web.listen-address=127.0.0.1:{port}") as process:
            assert answers(f"http://127.0.0.1:{port}/-/ready")
            # A reload reads the templates once more.
            reload = urllib.request.Request(f"http://127.0.0.1:{port}/-/reload", method="POST")
            with urllib.request.urlopen(reload, timeout=5) as response:  # noqa: S310 - an address of this test's own
                assert response.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0

    def test_haproxy_starts_and_dies_with_its_process(self, tmp_path: Path) -> None:
        config = tmp_path / "haproxy.cfg"
        port = free_port()
        config.write_text(
            "defaults\n  mode http\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
            f"frontend alive\n  bind 127.0.0.1:{port}\n  monitor-uri /alive\n"
        )
        with started(tools.find("haproxy"), "-db", "-f", config) as process:
            assert answers(f"http://127.0.0.1:{port}/alive")
            process.kill()
            process.wait()
            assert not answers(f"http://127.0.0.1:{port}/alive", within=0.5)


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "-s", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert sorted(re.findall(r"^  make ([\w-]+)", listed, re.MULTILINE)) == sorted(phony[1].split())
