"""Which of the two languages of the product a text is written in; pure and deterministic."""

import re
from typing import Literal

Language = Literal["en", "zh-TW"]

# Unified ideographs with extension A and the compatibility block; extension B and beyond are rare
# enough in questions that counting them would not change the outcome.
HAN = "㐀-䶿一-鿿豈-﫿"
_HAN = re.compile(f"[{HAN}]")
_KANA_OR_HANGUL = re.compile("[぀-ヿ가-힯]")
_WORD = re.compile(r"[^\W\d_]+")


def han_share(text: str) -> float:
    """Han characters as a share (0 to 1) of Han characters plus words of other scripts.

    A Chinese sentence of twenty characters with three English product names is still Chinese, so
    a word of another script counts once, however long it is.
    """
    han = len(_HAN.findall(text))
    words = len(_WORD.findall(_HAN.sub(" ", text)))
    return han / (han + words) if han else 0.0


def detect_language(text: str) -> Language | None:
    """``zh-TW`` for any Chinese, ``en`` for text in Latin letters, None for anything else.

    Simplified characters also give ``zh-TW``: the product's Chinese readers read traditional
    characters. Japanese and Korean give None.
    """
    if _KANA_OR_HANGUL.search(text):
        return None
    if han_share(text) >= 0.3:
        return "zh-TW"
    return "en" if re.search("[A-Za-z]", text) else None
