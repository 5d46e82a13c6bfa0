"""Text with `{{path}}` placeholders, as the `@template` directive and `render` use it. Nothing is escaped (a payload
is not a page) and a value is never read as a template again, so an event cannot smuggle placeholders in.
"""

from __future__ import annotations

from collections.abc import Iterator

from .coercion import Resolver, text_or_blank
from .errors import InvalidMappingError
from .limits import MAX_PLACEHOLDERS, MAX_TEMPLATE_LENGTH, SHORT_TEXT, check_text
from .paths import reader, split_placeholder


def placeholders(template: str) -> Iterator[tuple[int, int, str]]:
    """Find placeholders in one pass: where each begins, where it ends, and its path.

    Three braces mean the same as two, and no `}` may stand inside, so the first one after an opening decides.
    """
    start = template.find("{{")
    while start >= 0:
        close = template.find("}", start)
        if close < 0:
            return
        end = close + 1
        for width in (3, 2):
            if (
                close > start + width
                and template.startswith("{" * width, start)
                and template.startswith("}" * width, close)
            ):
                end = close + width
                yield start, end, template[start + width : close].strip()
                break
        start = template.find("{{", end)


def compile_template(template: str, path: str = "") -> Resolver:
    """Turn a template into a function from an event to text."""
    parts: list[str] = []
    holes: list[tuple[int, Resolver]] = []
    done = 0
    for start, end, name in placeholders(template):
        parts.extend((template[done:start], ""))
        holes.append((len(parts) - 1, reader(split_placeholder(name))))
        done = end
    parts.append(template[done:])
    _check_size(template, len(holes), path)
    return _filler(parts, holes, path) if holes else lambda scope: template


def _check_size(template: str, count: int, path: str) -> None:
    if len(template) > MAX_TEMPLATE_LENGTH:
        message = f"a template has at most {MAX_TEMPLATE_LENGTH} characters"
        raise InvalidMappingError.of("template_too_long", message, path)
    if count > MAX_PLACEHOLDERS:
        message = f"a template has at most {MAX_PLACEHOLDERS} placeholders"
        raise InvalidMappingError.of("too_many_placeholders", message, path)


def _filler(parts: list[str], holes: list[tuple[int, Resolver]], path: str) -> Resolver:
    def fill(scope: object) -> str:
        filled = parts.copy()
        for index, read in holes:
            value = read(scope)
            filled[index] = value if type(value) is str else text_or_blank(value)
        text = "".join(filled)
        return text if len(text) <= SHORT_TEXT else check_text(text, path)

    return fill
