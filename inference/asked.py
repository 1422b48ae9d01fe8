"""What a question asks for; pure."""

import re

from inference.analysis import Analysis, Part

_PLAIN_CHARACTERS_MAX = 90
_ASKS_FOR_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|far|old|tall|high|heavy|fast|often|large|big|cold|warm|hot|deep|"
    r"wide|thick|late|early|likely)|when|what time|which (?:year|day|date|month)|what (?:year|day|"
    r"date|percentage|share|number|is the (?:price|score|number|date|temperature|speed|maximum|"
    r"minimum)))\b|多少|几|多久|多长|多大|多远|何时|什么时候|哪一年|哪天"
)


def asks_for_number(question: Part) -> bool:
    """Whether a number or a date answers the question."""
    return _ASKS_FOR_NUMBER.search(question.plain) is not None


def is_plain(question: Analysis) -> bool:
    """Whether it is one short sentence, which quotes nothing that could be taken for a question."""
    return len(question.sentences) == 1 and len(question.text) <= _PLAIN_CHARACTERS_MAX
