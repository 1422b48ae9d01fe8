"""Separate what a reasoning model thinks from what it answers; pure.

Reasoning models write ``<think>…</think>`` before their answer (DeepSeek-R1, Qwen3). Only the
answer takes part in the vote. What really happens in outputs:

- a complete block, or several, anywhere in the text;
- a block that the token limit cut: everything after the tag is reasoning, and there is no answer;
- a closing tag without an opening one: the chat template had already opened the block
  (DeepSeek-R1's does), so everything before it is reasoning.
"""

import re
from typing import NamedTuple

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"
_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)


class SplitText(NamedTuple):
    """The two parts, each stripped; several blocks of reasoning are joined by a blank line."""

    reasoning: str
    answer: str


def split_reasoning(text: str, *, opened_by_template: bool = False) -> SplitText:
    """Split a model's output into reasoning and answer.

    ``opened_by_template`` says that the prompt ended inside a block: a text without a closing tag
    is then all reasoning. The answer contains no tag, whatever the input.
    """
    reasoning: list[str] = []
    answer: list[str] = []
    inside = opened_by_template
    position = 0
    for tag in _TAG.finditer(text):
        piece = text[position : tag.start()]
        position = tag.end()
        closing = bool(tag[1])
        if closing and not inside:
            # No opening tag was seen: what looked like the answer was thought.
            reasoning.extend(answer)
            answer.clear()
            reasoning.append(piece)
        else:
            (reasoning if inside else answer).append(piece)
        inside = not closing
    (reasoning if inside else answer).append(text[position:])
    return SplitText(_joined(reasoning), _joined(answer))


def _joined(pieces: list[str]) -> str:
    # Removing a tag from between two pieces must not create a new one ("<th" + "ink>"), and a
    # blank line between them sees to that.
    return "\n\n".join(stripped for piece in pieces if (stripped := piece.strip()))
