"""`manage.py up` runs the whole product, keeps it running, and says in one sentence why it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.launcher import up
from hub.launcher.installation import open_installation
from hub.launcher.product import PROJECT
from launcher.processes import descendants, is_alive

Eventually = Callable[[Callable[[], bool]], None]
OURS = ("DATABASE_URL", "REDIS_URL", "ALLOW_PRIVATE_NETWORKS", "PUBLIC_URL")


def launch(*arguments: str) -> subprocess.Popen[str]:
    environment = {name: setting for name, setting in os.environ.items() if name not in OURS}
    argv = [sys.executable, str(PROJECT / "manage.py"), "up", *arguments]
    return subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(*arguments: str) -> str:
    """Launch what must not start; return its only line."""
    with launch(*arguments) as process:
        printed, complaint = process.communicate()
    assert (process.returncode, printed) == (2, "")
    (line,) = complaint.splitlines()
    return line


def test_options_survive_being_spelled_again(tmp_path: Path) -> None:
    options = up.Options(host="::1", port=0, data=tmp_path, demo=True, workers=3, json=True)
    assert up.parse(up.to_argv({name: getattr(options, name) for name in up.Options.__slots__})) == options


@pytest.mark.parametrize(
    ("option", "value"),
    [("--port", "99999"), ("--port", "-1"), ("--port", "x"), ("--workers", "0"), ("--workers", "x")],
)
def test_a_number_that_cannot_be_meant_is_refused(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    with pytest.raises(SystemExit) as ended:
        up.parse([option, value])
    assert ended.value.code == 2
    assert f"argument {option}: {value}" in capsys.readouterr().err


def test_a_busy_port_ends_with_one_sentence_and_code_two(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert "choose another with --port" in refused("--json", "--port", port, "--data", str(folder))


def test_a_bad_folder_ends_with_one_sentence_and_code_two(folder: Path) -> None:
    (folder / "file").touch()
    assert "choose another with --data" in refused("--json", "--port", "0", "--data", str(folder / "file"))


def test_data_of_another_major_version_ends_with_one_sentence_and_code_two(folder: Path) -> None:
    open_installation(folder).lock.close()
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("17\n")
    assert "PostgreSQL 17" in refused("--json", "--port", "0", "--data", str(folder))


@pytest.fixture
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with launch("--json", "--port", "0", "--data", str(folder)) as process:
        yield process
        process.kill()
        process.communicate()


def test_the_product_starts_heals_and_leaves_nothing_behind(
    running: subprocess.Popen[str], eventually: Eventually
) -> None:
    """One launch for several promises, because a launch takes seconds."""
    announcement = json.loads(running.stdout.readline())
    pids = announcement["pids"]
    assert pids.keys() == {"web", "worker", "scheduler", "postgres", "redis"}
    assert set(pids.values()) <= set(descendants(running.pid))
    assert is_ready(announcement["url"])

    os.kill(pids["postgres"], signal.SIGKILL)
    os.kill(pids["web"], signal.SIGKILL)
    eventually(lambda: not is_ready(announcement["url"]))
    eventually(lambda: is_ready(announcement["url"]))

    everything = descendants(running.pid)
    running.kill()
    eventually(lambda: not any(is_alive(pid) for pid in everything))


def test_an_interrupt_stops_everything_in_good_order(running: subprocess.Popen[str], folder: Path) -> None:
    running.stdout.readline()
    everything = descendants(running.pid)
    running.send_signal(signal.SIGINT)
    _printed, log = running.communicate()
    assert running.returncode == 0, log
    assert [pid for pid in everything if is_alive(pid)] == []
    assert "database system is shut down" in log
    assert not (folder / "postgres" / "postmaster.pid").exists()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
