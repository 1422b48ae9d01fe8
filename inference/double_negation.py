"""Two negations that cancel each other: "not unlawful" is lawful; 沒有一個不同意: all agree; pure.

The text is rewritten before its negations are counted, so that whatever counts them sees the plain
statement.
"""

import re

from inference.lexicon import opposites

_AFFIRMING = (
    (re.compile(r"\b(?:no|not a single) (\w+) (?:ever )?fail(?:s|ed)? to\b"), r"every \1 did"),
    (re.compile(r"\bnever fail(?:s|ed)? to\b"), "always"),
    (re.compile(r"(?:\bnot|n't) fail to\b"), ""),
    (re.compile(r"(?:\bnot|n't) (?:be )?(?:wrong|incorrect|untrue|false) (?:to say|that)\b"), ""),
    (
        re.compile(
            "没有(?:任何)?(?:哪?一?)[个名户位人次家款件天条项]?[^,，。;；]{0,3}不(?!是|同(?!意)|过)"
        ),
        "都",
    ),
    (re.compile("无一不|无不(?=[^,，。])"), "都"),
)
_PREFIXES = ("un", "in", "im", "il", "ir", "dis")
_NEGATED_NEGATIVE = re.compile(
    r"(?P<negator>(?:\bnot|n't|\bhardly)(?: at all| in the least)?) "
    rf"(?P<prefix>{'|'.join(_PREFIXES)})(?P<bare>\w{{4,}})"
)


def affirmed(plain: str) -> str:
    """The normalised text, its Chinese folded, without negations that cancel each other."""
    for pattern, plainly in _AFFIRMING:
        plain = pattern.sub(plainly, plain)
    return _NEGATED_NEGATIVE.sub(_without_both, plain)


def _without_both(match: re.Match[str]) -> str:
    if match["bare"] not in opposites(match["prefix"] + match["bare"]):
        return match[0]  # "not interested", "not important"
    return f" {match['bare']}"
