"""The snippets that people paste do what the page says: they accept our signatures, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors import signing
from tests.architecture.tree import ROOT

PAGE = (ROOT / "hub" / "docs" / "user" / "destinations.md").read_text(encoding="utf-8")
SECRET = signing.generate_secret()
BODY = '{"event":"Käse gekauft"}'.encode()
DRIVER = """
import { verify } from './snippet.mjs'
const { secret, headers, body } = JSON.parse(process.argv[2])
verify(secret, headers, Buffer.from(body, 'base64'))
"""

Verify = Callable[[str, dict[str, str], bytes], None]


def snippet(language: str) -> str:
    """The page's one block of code in this language."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(code)


def python_verify(_folder: Path) -> Verify:
    names: dict[str, Verify] = {}
    exec(compile(snippet("python"), "destinations.md", "exec"), names)
    return names["verify"]


def node_verify(folder: Path) -> Verify:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    (folder / "snippet.mjs").write_text(snippet("js"), encoding="utf-8")
    (folder / "driver.mjs").write_text(DRIVER, encoding="utf-8")

    def verify(secret: str, headers: dict[str, str], body: bytes) -> None:
        given = json.dumps({"secret": secret, "headers": headers, "body": base64.b64encode(body).decode()})
        ran = subprocess.run([node, "driver.mjs", given], cwd=folder, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise ValueError(ran.stderr)

    return verify


@pytest.fixture(params=[python_verify, pytest.param(node_verify, marks=pytest.mark.node)], ids=["python", "node"])
def verify(request: pytest.FixtureRequest, tmp_path: Path) -> Verify:
    made: Verify = request.param(tmp_path)
    return made


def signed(timestamp: float, *secrets: str) -> dict[str, str]:
    keys = [signing.decode_secret(secret) for secret in secrets]
    return dict(signing.sign(BODY, "msg_1", int(timestamp), keys))


def test_a_signature_of_ours_is_accepted(verify: Verify) -> None:
    verify(SECRET, signed(time.time(), SECRET), BODY)


def test_either_signature_is_enough_while_a_secret_is_rotated(verify: Verify) -> None:
    verify(SECRET, signed(time.time(), signing.generate_secret(), SECRET), BODY)


def test_a_signature_by_another_secret_is_refused(verify: Verify) -> None:
    with pytest.raises(ValueError, match="wrong signature"):
        verify(SECRET, signed(time.time(), signing.generate_secret()), BODY)


def test_a_changed_body_is_refused(verify: Verify) -> None:
    with pytest.raises(ValueError, match="wrong signature"):
        verify(SECRET, signed(time.time(), SECRET), BODY + b" ")


@pytest.mark.parametrize("offset", [-301, 302])
def test_a_request_that_is_too_old_or_too_new_is_refused(verify: Verify, offset: int) -> None:
    with pytest.raises(ValueError, match="too old or too new"):
        verify(SECRET, signed(time.time() + offset, SECRET), BODY)
