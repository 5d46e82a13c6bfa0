"""Every call to the outside goes through one gate. A module that could open a connection of its own is named here."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.tree import Module, modules

# Whatever can connect to an address that somebody else may have chosen.
REACHES_OUT = frozenset(
    {
        *(
            "_socket",
            "aiohttp",
            "asyncio.open_connection",
            "confluent_kafka",
            "django.core.mail",
            "ftplib",
            "grpc",
            "http.client",
            "httpx",
            "imaplib",
            "kafka",
            "paho",
        ),
        *(
            "poplib",
            "pycurl",
            "requests",
            "smtplib",
            "socket",
            "telnetlib",
            "urllib.request",
            "urllib3",
            "websockets",
            "xmlrpc",
        ),
        *("boto3", "botocore", "paramiko", "pymysql", "MySQLdb", "pymongo", "snowflake", "google.cloud"),
    }
)
# The same, as methods of what is imported for other reasons: asyncio, its loops.
DIALS = frozenset(
    {
        *("create_connection", "create_datagram_endpoint", "create_unix_connection"),
        *("open_connection", "open_unix_connection", "sock_connect"),
    }
)
GATE = ("hub/lib/gate.py", "hub/lib/net.py", "hub/delivery/sender.py", "hub/delivery/multi.py")
SINKS = ("hub/delivery/sinks/", "hub/warehouses/clients/")
ALLOWED = {
    "hub/launcher/address.py": "claims the web server's own port and asks its own /ready",
    "hub/launcher/valkey.py": "talks to the Valkey that it has started",
    "hub/lib/workers.py": "asks for this machine's name, opens nothing",
    "hub/management/listening.py": "sets an option on the web server's own sockets",
    "hub/demo/tracking.py": "sends the demonstration's events to its own installation",
    "hub/bench/": "loads and receives on this machine, for measurements that somebody has asked for",
}


def reaches(name: str) -> bool:
    return any(name == library or name.startswith(f"{library}.") for library in REACHES_OUT)


@pytest.mark.parametrize("module", modules(), ids=str)
def test_only_the_gate_reaches_out(module: Module) -> None:
    is_allowed = module.name.startswith((*GATE, *SINKS, *ALLOWED))
    assert is_allowed or sorted({name for name in module.imported() if reaches(name)}) == []


@pytest.mark.parametrize("module", modules(), ids=str)
def test_only_the_gate_dials(module: Module) -> None:
    is_allowed = module.name.startswith((*GATE, *SINKS, *ALLOWED))
    assert is_allowed or dialled(module.syntax) == []


def dialled(syntax: ast.AST) -> list[str]:
    return [node.attr for node in ast.walk(syntax) if isinstance(node, ast.Attribute) and node.attr in DIALS]


def test_dialling_is_recognised_on_whatever_it_is_called() -> None:
    assert dialled(ast.parse("async def f(loop): await loop.create_connection(p, 'a', 1)")) == ["create_connection"]


def test_the_exceptions_are_still_needed() -> None:
    used = {module.name for module in modules() if any(reaches(name) for name in module.imported())}
    files = [name for name in (*GATE, *ALLOWED) if name.endswith(".py")]
    assert [name for name in files if name not in used] == []


@pytest.mark.parametrize(
    "name", ["requests", "urllib.request", "http.client.HTTPConnection", "socket", "xmlrpc.client"]
)
def test_a_library_is_recognised_by_any_of_its_names(name: str) -> None:
    assert reaches(name)


@pytest.mark.parametrize("name", ["urllib.parse", "http", "socketserver_of_ours", "connectors.http"])
def test_what_cannot_connect_is_let_be(name: str) -> None:
    assert not reaches(name)
