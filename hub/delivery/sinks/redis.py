"""Redis and Valkey: commands in a pipeline, to one server, to the master that sentinels name, or to a cluster.

Keys of the target: mode (`single`, `sentinel`, `cluster`), hosts (`host:port`, several with commas), database,
username, password, tls, ca_certificate, client_certificate, client_key, master_name, sentinel_username,
sentinel_password. Whatever address a sentinel or a cluster answers with passes the gate when it is dialled, as the
first one does.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import Connection
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from connectors.http import ItemOutcome, Outcome, SendError
from connectors.records import RedisCommand, SinkRequest
from hub.delivery.sinks import SinkError, Target, lets_us_in, network, records_of
from hub.delivery.sinks.dialling import Leash, Way, dial, hosts_of, number, secure, text, tls_context
from hub.lib.net import Gate

DEFAULT_PORT = 6379
LONGEST_WORDS = 300
NOT_LET_IN = frozenset({"NOAUTH", "WRONGPASS"})
TROUBLE = frozenset(
    {
        *("OOM", "LOADING", "CLUSTERDOWN", "READONLY", "MASTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS", "MISCONF"),
        *("MOVED", "ASK", "UNKILLABLE"),
    }
)
UNKNOWN = ("unknown command", "unknown redis command")  # the second from within a script
REFUSED = "The server refuses user name or password; enter them again."


class Wires:
    """Makes the connections of one sink; a refusal by the gate is remembered, for clients swallow it."""

    def __init__(self, target: Target, gate: Gate, seconds: float) -> None:
        self.leash = Leash()
        self.failed: SinkError | None = None
        self._gate = gate
        self._seconds = seconds
        self._context = tls_context(target) if target.get("tls", True) else None

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection for redis-py, with TLS where it is on."""
        way = Way(self._gate, "redis", host, port, self._context is not None)
        try:
            opened = dial(way, self._seconds)
            self.leash.hold(opened.fileno(), f"{host}:{port}")
            return opened if self._context is None else secure(opened, self._context, host)
        except SinkError as failed:
            self.failed = failed
            raise redis.ConnectionError("not connected") from failed

    @property
    def connection_class(self) -> type[Connection]:
        """redis-py's connection, dialled here."""
        wires = self

        class Dialled(Connection):
            def _connect(self) -> socket.socket:
                return wires.dial(self.host, self.port)

        return Dialled


class RedisSink:
    """One client with one connection, or with one for each node of a cluster."""

    def __init__(self, target: Target, gate: Gate, seconds: float) -> None:
        self._wires = Wires(target, gate, seconds)
        self._client: Any = None
        try:
            with self._wires.leash.within(seconds):
                self._client = self._connected(target, seconds)
                self._client.ping()
        except (RedisError, OSError) as error:
            self.close()
            raise self._unconnected(error) from error
        except SinkError:
            self.close()
            raise

    def write(self, request: SinkRequest) -> list[ItemOutcome]:
        if not request.records:
            return self._prove(request)
        pipeline = self._client.pipeline(transaction=False)
        records = records_of(request, RedisCommand)
        for _, record in records:
            pipeline.execute_command(*record.arguments)
        self._wires.failed = None
        with self._wires.leash.within(request.timeout_s):
            try:
                answers = pipeline.execute(raise_on_error=False)
            except (RedisError, RedisClusterException, OSError) as error:
                raise self._broken(error) from error
        return [judge(index, answer) for (index, _), answer in zip(records, answers, strict=True)]

    def is_fresh(self) -> bool:
        return True  # redis-py looks at a connection before it uses it, and makes another where it is over

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
        self._wires.leash.release()

    def _prove(self, request: SinkRequest) -> list[ItemOutcome]:
        self._wires.failed = None
        with self._wires.leash.within(request.timeout_s):
            try:
                self._client.ping()
            except (RedisError, OSError) as error:
                raise self._unconnected(error) from error
        return lets_us_in(request)

    def _connected(self, target: Target, seconds: float) -> Any:
        hosts = list(hosts_of(text(target, "hosts"), DEFAULT_PORT))
        options: dict[str, Any] = {
            "username": text(target, "username") or None,
            "password": text(target, "password") or None,
            "socket_timeout": seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        mode = text(target, "mode", "single")
        if mode == "cluster":
            return self._cluster(hosts, options)
        host, port = self._master(target, hosts, seconds) if mode == "sentinel" else hosts[0]
        return self._one(host, port, {**options, "db": number(target, "database", 0)})

    def _cluster(self, hosts: Sequence[tuple[str, int]], options: dict[str, Any]) -> Any:
        """A client of a cluster. It takes a class of connections only when it is given a URL."""
        (host, port), *others = hosts
        nodes = [cast(Any, ClusterNode)(*other) for other in others]
        url = f"redis://[{host}]:{port}" if ":" in host else f"redis://{host}:{port}"
        try:
            return RedisCluster(url=url, startup_nodes=nodes, connection_class=self._wires.connection_class, **options)
        except RedisClusterException as error:
            raise redis.ConnectionError("no node of the cluster can be used") from error

    def _one(self, host: str, port: int, options: dict[str, Any]) -> redis.Redis:
        pool = redis.ConnectionPool(self._wires.connection_class, 1, host=host, port=port, **options)
        client = redis.Redis(connection_pool=pool)
        client.auto_close_connection_pool = True
        return client

    def _master(self, target: Target, hosts: Sequence[tuple[str, int]], seconds: float) -> tuple[str, int]:
        """Ask the sentinels, one after the other, which server takes writes."""
        options = {
            "username": text(target, "sentinel_username") or None,
            "password": text(target, "sentinel_password") or None,
            "socket_timeout": seconds / len(hosts),
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        for place, (host, port) in enumerate(hosts):
            sentinel = self._one(host, port, options)
            try:
                found = cast(Any, sentinel).execute_command(
                    "SENTINEL", "GET-MASTER-ADDR-BY-NAME", text(target, "master_name")
                )
            except (redis.ConnectionError, redis.TimeoutError):
                if place == len(hosts) - 1:
                    raise
                continue
            finally:
                sentinel.close()
            if not found:
                message = "The sentinels know no master of this name; check the settings."
                raise SinkError(Outcome.DISABLED, "no_master", message)
            name, number_ = (each.decode() if isinstance(each, bytes) else str(each) for each in found)
            return name, int(number_)
        raise network(SendError.CONNECT)

    def _unconnected(self, error: Exception) -> SinkError:
        """Why nothing could be written yet."""
        failed = self._wires.failed
        if isinstance(error, ResponseError | AuthenticationError | redis.ReadOnlyError | redis.BusyLoadingError):
            item = judge(0, error)
            outcome = item.outcome if item.outcome is not Outcome.REJECTED else Outcome.DISABLED
            return SinkError(outcome, item.reason, item.message)
        if failed is not None:
            return failed
        return network(self._wires.leash.failure(timeout_or(error, SendError.CONNECT)))

    def _broken(self, error: Exception) -> SinkError:
        """The connection went while commands were on their way, or could not be made again."""
        failed = self._wires.failed
        if failed is not None:
            return failed
        return network(self._wires.leash.failure(timeout_or(error, SendError.INCOMPLETE)), sent=True)


def timeout_or(error: Exception, otherwise: SendError) -> SendError:
    return SendError.TIMEOUT if isinstance(error, redis.TimeoutError | TimeoutError) else otherwise


def judge(index: int, answer: object) -> ItemOutcome:
    """What an answer to one command means."""
    if not isinstance(answer, Exception):
        return ItemOutcome(index, Outcome.DELIVERED)
    said = str(answer)[:LONGEST_WORDS]
    word = said.partition(" ")[0]
    if isinstance(answer, NoPermissionError) or word == "NOPERM":
        return ItemOutcome(index, Outcome.DISABLED, 0, "forbidden", "The user may not run this command on this key.")
    if isinstance(answer, AuthenticationError) or word in NOT_LET_IN or "invalid username-password" in said.lower():
        return ItemOutcome(index, Outcome.UNAUTHORIZED, 0, "unauthorized", REFUSED)
    if any(words in said.lower() for words in UNKNOWN):
        message = "The server does not know this command; a module or a newer version is needed."
        return ItemOutcome(index, Outcome.DISABLED, 0, "unknown_command", message)
    is_trouble = word in TROUBLE or isinstance(
        answer, redis.ConnectionError | redis.ReadOnlyError | redis.OutOfMemoryError
    )
    if is_trouble or not isinstance(answer, ResponseError):
        return ItemOutcome(index, Outcome.RETRY, 0, "server_error", f"The server has trouble of its own ({word}).")
    reason = "wrong_type" if word == "WRONGTYPE" else "refused"
    return ItemOutcome(index, Outcome.REJECTED, 0, reason, f"The server refuses this: {said}")


def open_sink(target: Target, gate: Gate, timeout_s: float) -> RedisSink:
    """Connect, sign in, and hear a pong."""
    return RedisSink(target, gate, timeout_s)
