"""The full filter language, for the filters of destinations: any field, functions, lists, `and`, `or` and `!` at will.

A filter of this language is parsed once, with its types checked, and compiled to a function. It fails closed: a text
that is no filter raises, and whoever applies filters must then keep the event back.
"""

from __future__ import annotations

from .filter_code import Test, compile_node
from .fql_parser import MAX_BYTES, parse
from .fql_writer import write

__all__ = ["MAX_BYTES", "compile_text", "parse", "write"]


def compile_text(text: str) -> Test:
    """Parse and compile a filter, or raise FilterSyntaxError."""
    return compile_node(parse(text))
