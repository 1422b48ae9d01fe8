"""Characters that a reader sees nothing of, or that change the order in which he reads; pure.

A model reads them all the same: a word may be cut in two for it, or a whole text be hidden from the
person who passes it on (tags, U+E0000 and following, and variation selectors, which can each stand
for a byte). Joiners and single variation selectors stay: emoji and some scripts need them.
"""

import re

# Unicode's Default_Ignorable_Code_Point without joiners and variation selectors, and marks of
# annotations.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
# Nothing has two selectors: those behind the first one are hidden text.
_HIDDEN = re.compile(f"[{_INVISIBLE}]|(?<=[{_INVISIBLE}{_SELECTORS}])[{_SELECTORS}]")


def visible(text: str) -> str:
    """The text without them; what is left has none."""
    return text if text.isascii() else _HIDDEN.sub("", text)
