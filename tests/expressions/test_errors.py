"""Problems, carried and shown."""

from __future__ import annotations

import pickle

import pytest

from hub.expressions.errors import (
    MAX_REPORTED,
    ExpressionError,
    FilterError,
    FilterSyntaxError,
    InvalidMappingError,
    MappingError,
    Problem,
    UnmappableEventError,
    pointer,
)


def test_an_error_shows_every_problem_and_answers_for_the_first():
    error = InvalidMappingError([Problem("a", "is wrong", "/x"), Problem("b", "is worse")])
    assert str(error) == "/x: is wrong; is worse"
    assert (error.code, error.path) == ("a", "/x")


def test_an_error_does_not_carry_more_problems_than_anyone_reads():
    assert len(InvalidMappingError([Problem("a", "is wrong")] * 500).problems) == MAX_REPORTED


def test_an_error_survives_a_process_border():
    error = pickle.loads(pickle.dumps(UnmappableEventError.of("a", "is wrong", "/x")))
    assert type(error) is UnmappableEventError
    assert error.problems == (Problem("a", "is wrong", "/x"),)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (FilterSyntaxError, FilterError),
        (InvalidMappingError, MappingError),
        (UnmappableEventError, MappingError),
        (FilterError, ExpressionError),
        (MappingError, ExpressionError),
    ],
)
def test_the_tree_of_errors(kind, base):
    assert issubclass(kind, base)


def test_a_pointer_escapes_its_own_signs():
    assert pointer(pointer("", "a/b~c"), 0) == "/a~1b~0c/0"
