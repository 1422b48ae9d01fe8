"""Hypothesis strategies for every wire type, derived from the same annotations as the codec."""

from typing import Any, get_origin

from hypothesis import strategies as st

from pbft.policy import Policy
from pbft.schema import (
    AtMost,
    Exactly,
    alternatives,
    element_type,
    field_types,
    is_enumeration,
    optional_type,
    unwrap,
)
from pbft.types import CHECKPOINT_INTERVAL, U64_MAX

_ELEMENTS_MAX = 3
_CHARACTERS_MAX = 8


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of the annotated type within its bounds, small."""
    bare, bound = unwrap(annotation)
    if bare is int:
        return st.one_of(st.integers(0, 30), st.integers(0, U64_MAX))
    if bare is bytes:
        assert isinstance(bound, Exactly)
        return st.binary(min_size=bound.length, max_size=bound.length)
    if bare is str:
        assert isinstance(bound, AtMost)
        # A character takes up to four bytes.
        return st.text(max_size=min(bound.maximum // 4, _CHARACTERS_MAX))
    if is_enumeration(bare):
        return st.sampled_from(bare)
    if inner := element_type(bare):
        return st.lists(values(inner), max_size=_ELEMENTS_MAX).map(tuple)
    if inner := optional_type(bare):
        return st.none() | values(inner)
    if options := alternatives(bare):
        return st.one_of(*map(values, options))
    if bare is Policy:
        return policies()
    hints = field_types(bare)
    assert hints is not None, annotation
    return st.builds(get_origin(bare) or bare, *(values(hint) for _, hint in hints))


def policies() -> st.SearchStrategy[Policy]:
    """Policies that their members may agree on: this record checks its own ranges."""
    return st.builds(
        Policy,
        similarity_threshold_bp=st.integers(1, 10_000),
        vote_numerator=st.integers(51, 100),
        vote_denominator=st.just(100),
        rotation_slots=st.integers(1, 100).map(lambda slots: slots * CHECKPOINT_INTERVAL),
        attempts_max=st.integers(1, 8),
    )
