"""Splitting reasoning from answers: every shape that a model's output takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.reasoning import split_reasoning

_PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<THINK>", "<th", "ink>", "a", " b\n", "<", ">", "/"])
)


@pytest.mark.parametrize(
    ("text", "opened", "reasoning", "answer"),
    [
        ("Paris.", False, "", "Paris."),
        ("<think>France…</think>\n\nParis.", False, "France…", "Paris."),
        ("<think></think>Paris.", False, "", "Paris."),
        ("<think>it is", False, "it is", ""),
        ("France…\n</think>\nParis.", True, "France…", "Paris."),
        ("France…", True, "France…", ""),
        ("France…</think>Paris.", False, "France…", "Paris."),
        ("<think>a</think>b<think>c</think>d", False, "a\n\nc", "b\n\nd"),
        ("a</think>b</think>c", False, "a\n\nb", "c"),
        ("b<think>c", False, "c", "b"),
        ("<Think>a</THINK>b", False, "a", "b"),
        ("<think>a<think>b</think>c", False, "a\n\nb", "c"),
        ("", False, "", ""),
        ("", True, "", ""),
    ],
)
def test_known_shapes(text: str, opened: bool, reasoning: str, answer: str) -> None:
    """Only text outside every block is the answer."""
    assert split_reasoning(text, opened_by_template=opened) == (reasoning, answer)


@given(_PIECES.map("".join), st.booleans())
def test_an_answer_never_contains_a_tag(text: str, opened: bool) -> None:
    """Whatever the model writes, neither part shows a tag to the user."""
    for part in split_reasoning(text, opened_by_template=opened):
        assert "<think>" not in part.lower()
        assert "</think>" not in part.lower()


@given(st.text(), st.text().filter(lambda text: "think>" not in text.lower()))
def test_a_complete_block_leaves_exactly_the_answer(thought: str, answer: str) -> None:
    """What follows the last closing tag is the whole answer."""
    split = split_reasoning(f"<think>{thought.replace('>', '')}</think>{answer}")
    assert split.answer == answer.strip()


@given(st.text().filter(lambda text: "think>" not in text.lower()))
def test_text_without_tags_is_all_answer(text: str) -> None:
    """A model that does not reason is passed through."""
    assert split_reasoning(text) == ("", text.strip())
