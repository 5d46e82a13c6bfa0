"""The Redis driver against a real Valkey: alone, behind TLS, as a cluster of one, and named by a sentinel."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from connectors.destinations.redis import SET_AT_PATH
from connectors.http import ItemOutcome, Outcome, Scope
from connectors.records import RedisCommand, SinkRequest
from hub.delivery.sinks.dialling import hosts_of
from hub.delivery.sinks.redis import judge
from hub.delivery.sinks.running import Runner
from hub.launcher.binaries import find_binaries
from tests.certificates import own_certificate, server_context
from tests.delivery.sinks.conftest import Write
from tests.relays import Relay, to_port


@pytest.fixture
def store() -> Iterator[Any]:
    client = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    client.delete("sink:a", "sink:b", "sink:text")
    yield client
    client.close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay(to_port(urlsplit(os.environ["REDIS_URL"]).port or 6379)) as running:
        yield running


def request(port: int, *commands: tuple[str | int, ...], timeout_s: float = 10.0, **target: Any) -> SinkRequest:
    password = urlsplit(os.environ["REDIS_URL"]).password
    where = {"hosts": f"127.0.0.1:{port}", "tls": False, "password": password, **target}
    records = tuple(RedisCommand(command) for command in commands)
    return SinkRequest("redis", where, records, tuple(range(len(records))) or (0,), timeout_s, "write")


def words(outcomes: list[ItemOutcome]) -> list[tuple[str, str]]:
    return [(one.outcome.value, one.reason) for one in outcomes]


def test_commands_are_written_in_order_and_judged_one_by_one(store: Any, relay: Relay, write: Write) -> None:
    store.set("sink:text", "x")
    outcomes = write(
        request(
            relay.port, ("RPUSH", "sink:a", 1), ("HSET", "sink:text", "a", "b"), ("RPUSH", "sink:a", 2), ("NONSENSE",)
        )
    )
    assert words(outcomes) == [
        ("delivered", ""), ("rejected", "wrong_type"), ("delivered", ""), ("disabled", "unknown_command"),
    ]  # fmt: skip
    assert store.lrange("sink:a", 0, -1) == ["1", "2"]
    write(request(relay.port, ("RPUSH", "sink:a", 3)))
    assert relay.connection_count == 1


IN_A_SCRIPT = ("EVAL", SET_AT_PATH, 1, "sink:a", "$", "$.shop", "{}")


def test_a_module_that_is_missing_stops_the_destination_also_from_within_a_script(relay: Relay, write: Write) -> None:
    assert words(write(request(relay.port, IN_A_SCRIPT))) == [("disabled", "unknown_command")]


def test_a_test_writes_nothing(relay: Relay, write: Write) -> None:
    assert words(write(request(relay.port))) == [("delivered", "")]


@pytest.mark.parametrize("password", ["a-bad-password", ""])
def test_a_wrong_password_pauses(relay: Relay, write: Write, password: str) -> None:
    outcomes = write(request(relay.port, ("PING",), password=password))
    assert words(outcomes) == [("unauthorized", "unauthorized")]


def test_a_user_may_do_what_the_access_list_says(store: Any, relay: Relay, write: Write) -> None:
    store.acl_setuser(
        "sinker", enabled=True, passwords=["+a-good-password"], keys=["sink:*"], commands=["+@all", "-del"]
    )
    known = {"username": "sinker", "password": "a-good-password"}
    outcomes = write(request(relay.port, ("RPUSH", "sink:a", 1), ("DEL", "sink:a"), ("RPUSH", "other", 1), **known))
    store.acl_deluser("sinker")
    assert words(outcomes) == [("delivered", ""), ("disabled", "forbidden"), ("disabled", "forbidden")]


def test_memory_that_is_full_is_waited_for(store: Any, relay: Relay, write: Write) -> None:
    store.config_set("maxmemory", "1")
    outcomes = write(request(relay.port, ("RPUSH", "sink:a", 1)))
    store.config_set("maxmemory", "0")
    assert words(outcomes) == [("retry", "server_error")]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "retry"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "retry"),
        (redis.ResponseError("CLUSTERDOWN Hash slot not served"), "retry"),
        (redis.ResponseError("NOAUTH Authentication required."), "unauthorized"),
        (redis.ResponseError("WRONGPASS invalid username-password pair"), "unauthorized"),
        (redis.ResponseError("ERR syntax error"), "rejected"),
        (
            redis.ResponseError("ERR Unknown Redis command called from script script: f_1, on @user_script:1."),
            "disabled",
        ),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "retry"),
        (None, "delivered"),
        (7, "delivered"),
    ],
)
def test_what_the_server_says_has_a_meaning(answer: object, outcome: str) -> None:
    assert judge(0, answer).outcome.value == outcome


def test_a_server_that_is_gone_is_waited_for(relay: Relay, runner: Runner) -> None:
    relay.stop()
    (outcome,), answer = runner.write(request(relay.port, ("PING",)))
    assert (outcome.outcome, outcome.reason, outcome.scope) == (Outcome.RETRY, "connect", Scope.DESTINATION)
    assert not answer.sent


def test_a_connection_that_broke_while_idle_is_made_anew(store: Any, relay: Relay, write: Write) -> None:
    write(request(relay.port, ("RPUSH", "sink:a", 1)))
    relay.cut()
    relay.await_quiet()
    assert words(write(request(relay.port, ("RPUSH", "sink:a", 2)))) == [("delivered", "")]
    assert store.lrange("sink:a", 0, -1) == ["1", "2"]


def test_a_server_that_does_not_answer_is_left(store: Any, relay: Relay, runner: Runner) -> None:
    runner.write(request(relay.port, ("PING",), timeout_s=0.5))
    relay.flows.clear()
    (outcome,), answer = runner.write(request(relay.port, ("RPUSH", "sink:a", 2), timeout_s=0.5))
    assert (outcome.outcome, outcome.reason) == (Outcome.RETRY, "timeout")
    assert (answer.error, answer.sent) == ("timeout", True)


def test_a_certificate_is_checked(store: Any, tmp_path: Path, write: Write) -> None:
    mine, port = own_certificate(tmp_path), urlsplit(os.environ["REDIS_URL"]).port or 6379
    with Relay(to_port(port), server_context(mine)) as relay:
        trusted = request(relay.port, ("PING",), tls=True, ca_certificate=mine.read_text())
        assert words(write(trusted)) == [("delivered", "")]
        assert words(write(request(relay.port, ("PING",), tls=True))) == [("disabled", "tls_error")]
        broken = request(relay.port, ("PING",), tls=True, ca_certificate="-----BEGIN CERTIFICATE-----")
        assert words(write(broken)) == [("disabled", "bad_certificate")]


# Sentinels and clusters answer with addresses of their own


class Node:
    """A Valkey of the test's own."""

    def __init__(self, folder: Path, config: str, *options: str) -> None:
        self.port = free_port()
        path = folder / "node.conf"
        path.write_text(config)
        self.process = subprocess.Popen(
            [str(find_binaries().valkey), str(path), *options, "--port", str(self.port), "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        self.client = redis.Redis(port=self.port, decode_responses=True)

    def __enter__(self) -> Node:
        while True:
            try:
                self.client.ping()
                return self
            except redis.ConnectionError:
                assert self.process.poll() is None
                time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_cluster_is_written_to_wherever_its_slots_are(tmp_path: Path, write: Write) -> None:
    config = f'save ""\ncluster-enabled yes\ncluster-port {free_port()}\n'
    with Node(tmp_path, config) as node:
        node.client.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")
        while node.client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            time.sleep(0.01)
        sent = request(node.port, ("RPUSH", "sink:a", 1), ("RPUSH", "sink:b", 2), mode="cluster", password="")
        assert words(write(sent)) == [("delivered", "")] * 2
        script = request(node.port, IN_A_SCRIPT, mode="cluster", password="")
        assert words(write(script)) == [("disabled", "unknown_command")]
        assert node.client.lrange("sink:b", 0, -1) == ["2"]


def test_the_master_is_the_one_that_the_sentinels_name(store: Any, relay: Relay, tmp_path: Path, write: Write) -> None:
    config = f"sentinel monitor shop 127.0.0.1 {relay.port} 1\n"
    with Node(tmp_path, config, "--sentinel") as sentinel:
        hosts = f"127.0.0.1:{free_port()}, 127.0.0.1:{sentinel.port}"
        named = request(relay.port, ("RPUSH", "sink:a", 1), mode="sentinel", hosts=hosts, master_name="shop")
        assert words(write(named)) == [("delivered", "")]
        unknown = request(relay.port, ("PING",), mode="sentinel", hosts=hosts, master_name="other")
        assert words(write(unknown)) == [("disabled", "no_master")]
    assert store.lrange("sink:a", 0, -1) == ["1"]


def test_an_address_that_a_sentinel_answers_with_passes_the_gate(tmp_path: Path, write: Write) -> None:
    with Node(tmp_path, "sentinel monitor shop 169.254.169.254 6379 1\n", "--sentinel") as sentinel:
        hosts = f"127.0.0.1:{sentinel.port}"
        sent = request(sentinel.port, ("PING",), mode="sentinel", hosts=hosts, master_name="shop")
        assert words(write(sent)) == [("disabled", "config_error")]


@pytest.mark.parametrize(
    ("listed", "hosts"),
    [
        ("redis.acme.test", [("redis.acme.test", 6379)]),
        ("a.test:6380, b.test", [("a.test", 6380), ("b.test", 6379)]),
        ("[::1]:7000", [("::1", 7000)]),
        ("::1", [("::1", 6379)]),
    ],
)
def test_servers_are_read_with_and_without_a_port(listed: str, hosts: list[tuple[str, int]]) -> None:
    assert list(hosts_of(listed, 6379)) == hosts
