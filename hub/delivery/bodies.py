"""A request's body as bytes, by its kind. Equal bodies always give equal bytes: signatures and keys stand for them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import cast
from urllib.parse import urlencode

import orjson

from connectors.http import RequestSpec

GZIP_LEVEL = 6
File = tuple[str, str, str, bytes]  # name, file name or "", content type, content
Pairs = Iterable[tuple[object, object]]


def serialise(spec: RequestSpec) -> bytes | None:
    """The body's bytes by its kind; None when the request has none."""
    body = spec.body
    if spec.body_kind == "none" or body is None:
        return None
    if spec.body_kind == "json":
        return orjson.dumps(body)
    if spec.body_kind == "ndjson" and isinstance(body, Sequence):
        return b"".join([orjson.dumps(line) + b"\n" for line in body])
    if spec.body_kind == "form":
        return _form(body)
    if spec.body_kind == "multipart":
        return _multipart(cast(Sequence[File], body))
    return body if isinstance(body, bytes) else str(body).encode()


def finish(spec: RequestSpec, body: bytes, headers: list[str]) -> bytes:
    """The rare rest: pack the body, and add the headers that tell how it is packed and where its parts end."""
    if spec.body_kind == "multipart":
        headers.append(f"content-type: multipart/form-data; boundary={_boundary(cast(Sequence[File], spec.body))}")
    if spec.compress == "gzip":
        headers.append("content-encoding: gzip")
        return gzip.compress(body, GZIP_LEVEL, mtime=0)
    return body


def _form(body: object) -> bytes:
    """Pairs in their order, or a mapping; a list is its name several times, and null is left out."""
    pairs = body.items() if isinstance(body, Mapping) else cast(Pairs, body)
    return urlencode([(str(name), value) for name, value in pairs if value is not None], doseq=True).encode()


def _multipart(files: Sequence[File]) -> bytes:
    """RFC 7578: each part with its name, and with its file's name and type where it has them."""
    mark = f"--{_boundary(files)}\r\n".encode()
    pieces: list[bytes] = []
    for name, file_name, content_type, content in files:
        lines = f'content-disposition: form-data; name="{_quoted(name)}"'
        lines += f'; filename="{_quoted(file_name)}"\r\n' if file_name else "\r\n"
        lines += f"content-type: {content_type}\r\n" if content_type else ""
        pieces += [mark, lines.encode(), b"\r\n", content, b"\r\n"]
    return b"".join([*pieces, mark[:-2], b"--\r\n"])


def _boundary(files: Sequence[File]) -> str:
    """A mark that no part can hold, for it is made of a digest of them all."""
    digest = sha256()
    for name, file_name, content_type, content in files:
        digest.update(f"{name}\0{file_name}\0{content_type}\0{len(content)}\0".encode())
        digest.update(content)
    return f"headwater-{digest.hexdigest()[:32]}"


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
