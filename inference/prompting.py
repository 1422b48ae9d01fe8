"""From a question to the chat that the model sees; pure.

The question comes from a stranger. Chat templates mark turns with tokens such as ``<|im_end|>``,
and a tokenizer turns that very text into the token, so a question that contains it could end its
own turn and speak as the system. ``sanitise`` breaks every such marker by a space after its first
character: the model still reads what was written, as text. Markers are the ones of the common
chat formats, plus whatever special tokens the loaded tokenizer declares.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from inference.invisible import visible
from inference.language import Language, detect_language

# Measured with the packaged model on eleven questions, two seeds, temperature 0.3: the first
# sentence raises the right answers from 14 to 18 of 22. A repetition penalty of 1.1 lowers them to
# 12 and makes answers half as long again, so there is none.
_SYSTEM_PROMPTS: dict[Language | None, str] = {
    "en": "You are a careful assistant. Answer in one short sentence.",
    "zh-TW": "你是一個謹慎的助手。請以繁體中文回答，用一個簡短的句子。",
    None: "You are a careful assistant. Answer in one short sentence, in the question's language.",
}
# Where an instruction gives the form, another one would contradict it.
_INSTRUCTED_PROMPTS: dict[Language | None, str] = {
    "en": "You are a careful assistant.",
    "zh-TW": "你是一個謹慎的助手。請以繁體中文回答。",
    None: "You are a careful assistant. Answer in the question's language.",
}

# `<|im_start|>`, `<｜User｜>`, `<think>`, `<s>`, `<<SYS>>`, `<start_of_turn>`, `[INST]`, …
MARKERS = (
    r"<[|｜][^<>|｜\n]{0,40}[|｜]>|"
    r"</?(?:think|tool_call|tool_response|s|bos|eos|pad|unk|start_of_turn|end_of_turn)>|"
    r"<</?SYS>>|"
    r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
)
"""A pattern for the markers of the common chat formats, in any case."""
_KEPT_CONTROLS = "\n\t"


@dataclass(frozen=True, slots=True)
class SanitisedText:
    """Text that is safe inside a user turn, and what had to be done to it.

    ``neutralised`` lists the markers found, in order; a daemon may treat them as an attempt at
    prompt injection. ``removed_characters`` counts control and invisible characters.
    """

    text: str
    neutralised: tuple[str, ...]
    removed_characters: int


def sanitise(text: str, special_tokens: Collection[str] = ()) -> SanitisedText:
    """Make ``text`` unable to leave the user turn of a chat template.

    ``special_tokens`` are the literal texts that the tokenizer in use maps to single tokens.
    Idempotent: sanitising the result finds nothing.
    """
    printable = visible("".join(filter(_is_allowed, text.replace("\r\n", "\n"))))
    removed = len(text.replace("\r\n", "\n")) - len(printable)
    marker = _marker_pattern(special_tokens)
    neutralised: list[str] = []

    def broken(match: re.Match[str]) -> str:
        neutralised.append(match[0])
        return f"{match[0][0]} {match[0][1:]}"

    # One pass may leave a marker that overlapped another one ("<<s>s>"), so pass until none is
    # left. Each pass puts a space into every marker it finds and nothing is ever removed, so the
    # number of passes is bounded by the nesting.
    while marker.search(printable):
        printable = marker.sub(broken, printable)
    return SanitisedText(printable, tuple(neutralised), removed)


def build_chat(
    question: str,
    language: Language | None,
    special_tokens: Collection[str] = (),
    instruction: str = "",
) -> list[dict[str, str]]:
    """The messages for a chat template: one system turn, one user turn.

    ``language`` None means: the language of the question (see ``detect_language``).
    ``instruction`` gives the form of the answer; it may hold a stranger's words (labels) too.
    """
    spoken = language if language is not None else detect_language(question)
    system = (_INSTRUCTED_PROMPTS if instruction else _SYSTEM_PROMPTS)[spoken]
    asked = f"{question}\n\n{instruction}" if instruction else question
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": sanitise(asked, special_tokens).text.strip()},
    ]


def _is_allowed(character: str) -> bool:
    return character in _KEPT_CONTROLS or unicodedata.category(character) not in ("Cc", "Cs", "Co")


def _marker_pattern(special_tokens: Collection[str]) -> re.Pattern[str]:
    # Some tokenizers declare runs of spaces or plain words as added tokens. Those open no turn and
    # a space would not break them; every marker of a turn is bracketed.
    bracketed = (token for token in special_tokens if re.match(r"[<\[{【]\S", token))
    literal = sorted(map(re.escape, bracketed), key=lambda token: (-len(token), token))
    return re.compile("|".join((*literal, MARKERS)), re.IGNORECASE)
