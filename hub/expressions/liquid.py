"""The `@liquid` directive: Liquid templates by python-liquid, with what a shared server must refuse taken out.

A template is parsed once, and everything it may not use is found then, before any event. There are no loops, so
what remains to bound is size: a filter may neither take nor give more than MAX_TEXT characters, and the two that
multiply their arguments are measured before they run. Values are written as JavaScript's Liquid writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache, wraps
from typing import TextIO

import orjson
from liquid import BoundTemplate, Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions.logical import ContainsExpression
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import FilterArgumentError, FilterError, LiquidError, LiquidSyntaxError
from liquid.expression import Expression
from liquid.stream import TokenStream
from liquid.tag import Tag
from liquid.undefined import Undefined
from liquid.utils import ReadOnlyChainMap

from .coercion import Resolver, number_text, to_number
from .errors import InvalidMappingError, UnmappableEventError
from .limits import MAX_TEXT, METER, SHORT_TEXT, check_text, check_value

MAX_LENGTH = 1_000
MAX_ITEMS = 10_000
MAX_INTEGER_BITS = 512
MAX_DATE_FORMAT = 200
MAX_DATE_LENGTH = 40

DISABLED_TAGS = ("case", "for", "include", "layout", "render", "tablerow")
# fmt: off
DISABLED_FILTERS = frozenset((
    "array_to_sentence_string", "concat", "find", "find_exp", "find_index", "find_index_exp", "group_by",
    "group_by_exp", "has", "has_exp", "map", "newline_to_br", "reject", "reject_exp", "reverse", "sort",
    "sort_natural", "type", "uniq", "where_exp",
))
TEXT_FILTERS = frozenset((
    "append", "base64_decode", "base64_encode", "base64_url_safe_decode", "base64_url_safe_encode", "capitalize",
    "downcase", "escape", "escape_once", "escapejs", "lstrip", "prepend", "remove", "remove_first", "remove_last",
    "replace", "replace_first", "replace_last", "rstrip", "split", "squish", "strip", "strip_html",
    "strip_newlines", "truncate", "truncatewords", "upcase", "url_decode", "url_encode",
))
# fmt: on

# What Liquid's own code raises on odd values (a comparison of text and number, a number too big, nesting too deep).
_STUMBLES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Filter = Callable[..., object]


def write(value: object) -> str:
    """Write a value into the output: lists run together, objects are not spelled out."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value)
    if value is None or isinstance(value, Undefined):
        return ""
    if isinstance(value, list | range):
        return "".join(map(write, value))
    return "[object Object]" if isinstance(value, Mapping) else str(value)


class _WrittenOutput(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return buffer.write(write(_measured(self.expression.evaluate(context))))


class _WrittenEcho(_WrittenOutput, EchoNode):
    """`{% echo x %}` is `{{ x }}`."""


class _Measured(Expression):
    """The left side of `contains`: a text is sought in a range by counting through all of it."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def evaluate(self, context: RenderContext) -> object:
        return _measured(self.inner.evaluate(context))

    def children(self) -> Iterable[Expression]:
        return (self.inner,)


class _OutputTag(Output):
    node_class = _WrittenOutput


class _EchoTag(EchoTag):
    node_class = _WrittenEcho


class _DisabledTag(Tag):
    def parse(self, stream: TokenStream) -> Node:
        raise LiquidSyntaxError(f"tag {stream.current.value!r} is disabled", token=stream.current)


class _EventContext(RenderContext):
    """Only the event and the template's own variables: python-liquid would add `now` and `today` from the clock."""

    __slots__ = ()

    def __init__(self, template: BoundTemplate, event: Mapping[str, object]) -> None:
        super().__init__(template, globals=event)
        self.scope = ReadOnlyChainMap(self.locals, self.globals, self.counters)


class _Environment(Environment):
    output_stream_limit = MAX_TEXT
    local_namespace_limit = 4 * MAX_TEXT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.add_tag(_OutputTag)
        self.add_tag(_EchoTag)
        for name in DISABLED_TAGS:
            self.tags[name] = _DisabledTag(self)
        filters: dict[str, Filter] = {**self.filters, "join": _join, "replace": _replace, "date": _date, "json": _json}
        self.filters = {
            name: _guard(name, function) for name, function in filters.items() if name not in DISABLED_FILTERS
        }


def _guard(name: str, function: Filter) -> Filter:
    """Bound what goes into and comes out of a filter, and let it fail only in Liquid's own way."""
    clean, clean_argument = (_clean_text, _clean_text_argument) if name in TEXT_FILTERS else (_measured, _measured)

    @wraps(function)
    def guarded(value: object, *args: object, **options: object) -> object:
        try:
            made = _measured(function(clean(value), *map(clean_argument, args), **options))
            if isinstance(made, str) and len(made) > SHORT_TEXT:
                METER.spend(len(made) // SHORT_TEXT, "")
            return made
        except _STUMBLES as stumble:
            raise FilterError(f"{name} cannot be applied to this value", token=None) from stumble

    return guarded


def _clean_text(value: object) -> object:
    return _measured(value if isinstance(value, str) else write(_measured(value)))


def _clean_text_argument(value: object) -> object:
    # Whole numbers stay: some filters count with them.
    return _measured(value) if isinstance(value, int) and not isinstance(value, bool) else _clean_text(value)


def _measured(value: object) -> object:
    """Pass a value on unless it is too big to work with."""
    if isinstance(value, str):
        fits = len(value) <= MAX_TEXT
    elif isinstance(value, list | range):
        fits = len(value) <= MAX_ITEMS
    else:
        fits = not isinstance(value, int) or value.bit_length() <= MAX_INTEGER_BITS
    if not fits:
        raise FilterError("the value is too large", token=None)
    return value


def _join(value: object, separator: object = " ") -> str:
    items = [write(item) for item in value] if isinstance(value, list | range) else [write(value)]
    glue = write(separator)
    if sum(map(len, items)) + len(glue) * len(items) > MAX_TEXT:
        raise FilterError("the value is too large", token=None)
    return glue.join(items)


def _replace(value: str, old: object, new: object = "") -> str:
    wanted, replacement = write(old), write(new)
    if len(value) + value.count(wanted) * len(replacement) > MAX_TEXT:
        raise FilterError("the value is too large", token=None)
    return value.replace(wanted, replacement)


def _json(value: object) -> str:
    try:
        check_value(value, "")
    except UnmappableEventError as error:
        raise FilterError("the value is too large", token=None) from error
    return orjson.dumps(None if isinstance(value, Undefined) else value).decode()


def _date(value: object, form: object = "%Y-%m-%d") -> object:
    """Format seconds since 1970 or an ISO 8601 date, in UTC; what is neither passes unchanged.

    `now` is refused: the payload of an event must come out the same whenever it is computed.
    """
    if value in ("now", "today"):
        raise FilterArgumentError("date cannot use the current time; use the event's timestamp", token=None)
    moment = _moment(value)
    if moment is None:
        return "" if isinstance(value, Undefined) else value
    if not isinstance(form, str) or len(form) > MAX_DATE_FORMAT:
        raise FilterArgumentError(f"date expects a format of at most {MAX_DATE_FORMAT} characters", token=None)
    # `%s` is the C library's, and there it is local time.
    seconds = str(int(moment.timestamp()))
    return moment.strftime("%%".join(part.replace("%s", seconds) for part in form.split("%%")))


def _moment(value: object) -> datetime | None:
    seconds = None if isinstance(value, bool) else to_number(value)
    if seconds is not None and value != "":
        return datetime.fromtimestamp(seconds, UTC)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= MAX_DATE_LENGTH else None
    except ValueError:
        return None
    return moment and (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return _Environment()


def parse_liquid(source: str, path: str = "") -> BoundTemplate:
    """Parse a template and refuse what it must not use."""
    if len(source) > MAX_LENGTH:
        message = f"a Liquid template has at most {MAX_LENGTH} characters"
        raise InvalidMappingError.of("liquid_too_long", message, path)
    environment = _environment()
    try:
        template = environment.from_string(source)
        used = template.analyze().filters
    except (LiquidError, *_STUMBLES) as error:
        raise InvalidMappingError.of("invalid_liquid", _explain(error), path) from error
    for name in used:
        if name in DISABLED_FILTERS:
            raise InvalidMappingError.of("disabled_liquid_filter", f"filter {name!r} is disabled", path)
        if name not in environment.filters:
            raise InvalidMappingError.of("unknown_liquid_filter", f"there is no filter {name!r}", path)
    for expression in _expressions(template):
        if isinstance(expression, ContainsExpression):
            expression.left = _Measured(expression.left)
    return template


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    """Every expression of a template, however deep."""
    context, nodes, found = RenderContext(template), list(template.nodes), list[Expression]()
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children(context))
        found.extend(node.expressions())
    while found:
        expression = found.pop()
        yield expression
        found.extend(expression.children())


def _explain(error: Exception) -> str:
    return str(error).split("\n", 1)[0].strip() or type(error).__name__


def compile_liquid(source: str, path: str = "") -> Resolver:
    """Turn a template into a function from an event to text."""
    template = parse_liquid(source, path)

    def render(scope: object) -> str:
        context = _EventContext(template, scope if isinstance(scope, dict) else {})
        buffer = context.get_buffer()
        try:
            template.render_with_context(context, buffer)
        except (LiquidError, *_STUMBLES) as error:
            raise UnmappableEventError.of("liquid_failed", _explain(error), path) from error
        return check_text(str(buffer.getvalue()), path)

    return render


def liquid_paths(source: str) -> list[str]:
    """List the event paths a template reads, in the order of their first use."""
    paths = parse_liquid(source).analyze().globals
    used = sorted((path for group in paths.values() for path in group), key=lambda path: path.span.index)
    return list(dict.fromkeys(map(str, used)))
