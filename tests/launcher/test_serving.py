"""Which of two servers at one port is meant."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from hub.launcher.serving import serves

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells")
FORKS = """
import os, socket, sys, time
listening = int(sys.argv[2])
for number in range(2):
    if not os.fork():
        if number < listening:
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(("127.0.0.1", int(sys.argv[1])))
            server.listen()
        os.write(1, b"x")
        time.sleep(1000)
time.sleep(1000)
"""


@pytest.mark.parametrize(("listening", "expected"), [(0, False), (1, False), (2, True)])
def test_a_server_serves_when_each_of_its_processes_listens(listening: int, expected: bool) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-c", FORKS, str(port), str(listening)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as forking:
            assert forking.stdout is not None
            assert forking.stdout.read(2) == b"xx"
            try:
                assert serves(forking.pid, port) is expected
            finally:
                os.killpg(forking.pid, 9)


def test_a_process_without_children_serves_nothing() -> None:
    with subprocess.Popen(["/bin/sleep", "1000"]) as alone:
        assert not serves(alone.pid, 80)
        alone.kill()
