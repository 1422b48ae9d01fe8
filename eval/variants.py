"""Other ways to say an answer that change nothing: a frame, common words, more of the same.

Writers of test answers avoid repeating each other, models do not. Without these, whatever is fitted
on written answers learns that shared words mean a trap.
"""

import re
from random import Random

_FRAMES = {
    "en": (
        "The answer is: {}", "The answer is {}", "Answer: {}", "{} I hope this helps.", "Sure! {}",
        "In short: {}", "Short answer: {}", "Based on what is known: {}", "I would say: {}",
    ),
    "zh": (
        "答案是：{}", "答案是{}", "{}希望對你有幫助。", "簡單來說，{}", "根據資料，{}",
        "我認為：{}", "結論：{}", "簡答：{}",
    ),
}  # fmt: skip
_SHORT = {
    "en": ("It is {}", "It's {}", "That would be {}", "{}", "The correct answer is {}"),
    "zh": ("是{}", "應該是{}", "就是{}", "正確答案是{}", "{}"),
}
_SHORT_WORDS = 4
_SHORT_CHARACTERS = 8
_VERDICT = re.compile(
    r"^(?:yes|no|nope|yeah|sure|never|not)\b|^[是不否對对沒没有會会可能好]", re.IGNORECASE
)
_SYNONYMS = {
    "en": "about|around because|since needs|requires need|require use|utilise main|primary "
    "big|large begin|start show|display get|obtain help|assist many|numerous "
    "roughly|approximately currently|presently buy|purchase",
    "zh": "大約|約 因為|由於 需要|須 目前|現在 可以|能夠 建議|推薦 所有|全部 使用|採用 因此|所以 "
    "認為|覺得 大概|約莫 相當|十分",
}


def framed(text: str, language: str, draw: Random) -> str:
    """The answer in a frame; a bare name or number also as a sentence."""
    kind = language[:2]
    short = (
        len(text.split()) <= _SHORT_WORDS if kind == "en" else len(text) <= _SHORT_CHARACTERS
    ) and not _VERDICT.match(text)
    frames = _SHORT[kind] + _FRAMES[kind][:3] if short else _FRAMES[kind]
    return draw.choice(frames).format(text)


def reworded(text: str, language: str) -> str:
    """With common words exchanged; the text itself if it has none."""
    kind = language[:2]
    for pair in _SYNONYMS[kind].split():
        one, two = pair.split("|")
        edge = r"\b" if kind == "en" else ""
        text = re.sub(f"{edge}{one}{edge}", two, text)
    return text


def with_variants(classes: list[list[str]], language: str, draw: Random) -> list[list[str]]:
    """The classes of a group of answers with three more: one framed, one that says it twice in the
    words of two members, and one reworded or framed otherwise."""
    found = [list(texts) for texts in classes]
    first = draw.randrange(len(found))
    text = draw.choice(classes[first])
    found[first].append(framed(text, language, draw))
    second = draw.randrange(len(found))
    members = draw.sample(classes[second], min(2, len(classes[second])))
    joined = (" " if language.startswith("en") else "").join(members)
    found[second].append(joined if len(members) > 1 else framed(members[0], language, draw))
    third = draw.randrange(len(found))
    text = draw.choice(classes[third])
    other = reworded(text, language)
    found[third].append(other if other != text else framed(text, language, draw))
    return [list(dict.fromkeys(texts)) for texts in found]
