"""Forms that vendors send: short ones as a query, and such with files, which are read as they come in.

Of a form with files the fields are kept and the files are counted, whatever their size: a mail's attachments would
else fill the memory, or a mail with a large one would be lost. How it is cut into chunks changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from connectors.inbound import Form, UploadedFile
from hub.ingest.errors import BadRequest

URL_ENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MOST_FIELDS = 1_000
# Of a form with files.
MOST_PARTS = 200
LONGEST_FIELD = 128 * 1024
MOST_KEPT = 512 * 1024
LONGEST_HEAD = 8 * 1024
BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
PARAMETER = re.compile(r'[;\s](name|filename)=(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))', re.IGNORECASE)
NEW_LINE, END_OF_HEAD = b"\r\n", b"\r\n\r\n"
AFTER_SEPARATOR = (NEW_LINE, b"--", b" ", b"\t")


def media_type(content_type: str) -> str:
    """The type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def url_encoded(body: bytes) -> Form:
    """Read a form without files, or a query. Empty fields are kept: they are signed as well."""
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "surrogateescape"),
            keep_blank_values=True,
            max_num_fields=MOST_FIELDS,
            errors="surrogateescape",
        )
    except ValueError as error:
        raise BadRequest("The form has too many fields.") from error
    return Form(tuple(pairs))


def boundary_of(content_type: str) -> bytes:
    """What separates the parts; a form without it cannot be read."""
    found = BOUNDARY.search(content_type)
    if found is None:
        raise BadRequest("The form does not say what separates its parts.")
    return b"--" + (found[1] or found[2]).encode("latin-1", "replace")


@dataclass(slots=True)
class Part:
    """The part that is coming in."""

    name: str
    file_name: str | None
    content_type: str
    kept: bytearray = field(default_factory=bytearray)
    size: int = 0


class Sieve:
    """Takes a form with files chunk by chunk. After the last, `form()` gives what is left of it."""

    def __init__(self, content_type: str) -> None:
        self._separator = NEW_LINE + boundary_of(content_type)
        # The first separator may stand at the very beginning, where no new line is before it.
        self._waiting = bytearray(NEW_LINE)
        self._part: Part | None = None
        self._is_over = False
        self._fields: list[tuple[str, str]] = []
        self._files: list[UploadedFile] = []
        self._cut: list[str] = []
        self._kept = 0
        self._digest = hashlib.sha256()

    def feed(self, chunk: bytes) -> int:
        """Take a chunk, and tell by how much more is kept now."""
        before = self._kept + len(self._waiting)
        self._digest.update(chunk)
        if not self._is_over:
            self._waiting += chunk
            while self._step():
                pass
        return self._kept + len(self._waiting) - before

    def form(self) -> Form:
        """The form, if all of it has come in."""
        if not self._is_over:
            raise BadRequest("The form ends before its end.")
        return Form(tuple(self._fields), tuple(self._files), tuple(self._cut))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that came in."""
        return self._digest.hexdigest()

    def _step(self) -> bool:
        """Go on to the next separator, or use up what is surely none; tell whether there is more to do."""
        place = self._waiting.find(self._separator)
        if place < 0:
            self._use(max(0, len(self._waiting) - len(self._separator)))
            return False
        following = self._waiting[place + len(self._separator) : place + len(self._separator) + LONGEST_HEAD]
        if len(following) > 1 and not following.startswith(AFTER_SEPARATOR):
            # Text that begins like the separator.
            self._use(place + len(self._separator))
            return True
        if following[:2] == b"--":
            self._use(place)
            self._finish_part()
            self._is_over = True
            self._waiting.clear()
            return False
        end = following.find(END_OF_HEAD)
        if end < 0:
            if len(following) == LONGEST_HEAD:
                raise BadRequest("The head of a part of the form is too long.")
            return False
        self._use(place)
        self._finish_part()
        del self._waiting[: len(self._separator) + end + len(END_OF_HEAD)]
        self._part = _part_of(bytes(following[:end]))
        return True

    def _use(self, length: int) -> None:
        """Let the part have so many bytes; before the first part there is only a preamble."""
        if not length:
            return
        part = self._part
        if part is not None:
            part.size += length
            room = min(LONGEST_FIELD - len(part.kept), MOST_KEPT - self._kept) if part.file_name is None else 0
            taken = self._waiting[: min(length, max(0, room))]
            part.kept += taken
            self._kept += len(taken)
        del self._waiting[:length]

    def _finish_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if len(self._fields) + len(self._files) >= MOST_PARTS:
            raise BadRequest("The form has too many parts.")
        if part.file_name is not None:
            self._files.append(UploadedFile(part.name, part.file_name, part.content_type, part.size))
            return
        self._fields.append((part.name, part.kept.decode("utf-8", "surrogateescape")))
        if part.size > len(part.kept):
            self._cut.append(part.name)


def _part_of(head: bytes) -> Part:
    """Read a part's head. What has a file name is a file, also an empty one."""
    name, file_name, content_type = "", None, ""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        header, _, value = line.partition(":")
        match header.strip().lower():
            case "content-disposition":
                found = {key.lower(): quoted or plain for key, quoted, plain in PARAMETER.findall(value)}
                name = found.get("name", "").replace('\\"', '"')
                file_name = found.get("filename")
            case "content-type":
                content_type = value.strip()[:100]
    return Part(name[:200], file_name[:200] if file_name is not None else None, content_type)
