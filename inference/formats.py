"""Which form of answer a question asks for; pure.

"Answer in JSON" asks for a form, "What is a JSON object?" asks about one. A demand that was none
makes every right answer look wrong, one that is overlooked does little harm; so only what is
clearly a request counts: an order ("Return a JSON object", 「請用 JSON 格式回答」), or a form named
by itself at the end of a sentence ("…, as JSON?").
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from inference.lexicon import fold_han
from inference.wording import normalise

Form = Literal["JSON", "list", "word"]

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+|(?<=[。?!])|[:;\n]+")
# What opens a question; "could you" opens an order.
_INQUIRES = re.compile(
    r"^\W*(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|has|have|"
    r"had|should|may|might|must|shall|(?:can|could|will|would)(?! you\b))\b"
)
_POLITE = r"(?:(?:please|kindly|just|only|always|then|also|simply) ){0,3}"
_ORDER = (
    rf"(?:^\W*{_POLITE}(?:(?:can|could|will|would) you |you (?:must|should|have to) )?|"
    rf"[,(] ?(?:and |then |but )?|\b(?:please|and|then) ){_POLITE}"
)
"""Where an English order begins."""
_SAY = (
    r"(?:answer|reply|respond|output|return|write|format|present|express|print|encode|give|put|"
    r"name|describe|explain|summari[sz]e|show|state|report|list|tell)\b[^,]{0,120}?\b"
)
_HAND = (
    r"(?:return|output|give|produce|print|provide|write|generate|create|make|send|use|say|name|"
    r"(?:reply|respond|answer) with) "
)
_QUALIFIED = (
    r"(?:(?:the|a|an|one|single|valid|pure|plain|strict|raw|only|just|me|us|your|exactly|"
    r"bulleted|bullet|numbered|short|simple) ){0,5}"
)
_HAN_ORDER = (
    r"(?:^|[,、(])\W*(?:(?:请|麻烦|并|再|然后|只|仅|你|您|要|能|可以|可否|能否|帮我|直接|务必|统一|必须|"
    r"一律|试|一一)\s*){0,5}"
)
_HAN_SAY = (
    "(?:回答|回复|回覆|回应|答|输出|返回|回传|表示|表达|呈现|给|列|写|提供|形容|概括|描述|总结|"
    "说明)"
)


class _Requests(NamedTuple):
    """How a form is asked for; of a text without the keys nothing is looked for."""

    form: Form
    keys: tuple[str, ...]
    ordered: re.Pattern[str]
    """An order, in a sentence that opens like one."""
    named: re.Pattern[str]
    """The form by itself, at the end of any sentence."""
    han: re.Pattern[str]


_LANGUAGE = re.compile(
    r"\b(?:in|into|to) (?:simplified |traditional |classical |ancient |plain )?"
    r"(?:english|chinese|mandarin|cantonese|japanese|korean|french|german|spanish|italian|"
    r"portuguese|dutch|russian|greek|latin|arabic|hebrew|hindi|thai|vietnamese)\b|\btranslat\w+|翻译|译[成为]|"
    "(?:用|以|成|的|说)(?:[英中日韩法德俄华汉国粤台泰]|意大利|西班牙|葡萄牙|阿拉伯|拉丁)(?:文|语|话)"
)
_ONE_WORD = r"(?:one|a single) word"
_HAN_ONE_WORD = "(?:一个|单个|单一)(?:词|单词|字词)|单词"
_REQUESTS = (
    _Requests(
        "JSON",
        ("json",),
        re.compile(
            rf"{_ORDER}(?:{_SAY}(?:as|in|into|using|with) {_QUALIFIED}json"
            r"(?=(?: object| format| only)?(?:\W*$|,| with\b| containing\b| whose\b))|"
            rf"{_HAND}{_QUALIFIED}json(?! (?:parser|schema|file|library))\b)"
        ),
        re.compile(
            r"[,(] ?(?:and |but )?(?:only )?(?:in|as) (?:an? )?(?:valid )?json"
            r"(?: object| format)?\W*$|"
            r"^json(?: only| format)?(?:,? please)?[.!]?$|"
            r"\b(?:answer|output|response|reply|result)s? (?:should|must|shall|has to|needs to) be "
            r"(?:(?:in|an?|valid|only|pure|plain) ){0,3}json\b|"
            r"\bi (?:need|want|would like)\b[^,]{0,60} (?:in|as) (?:an? )?(?:valid )?json\b"
        ),
        re.compile(
            rf"{_HAN_ORDER}(?:用|以|使用|采用|按照?)[^,]{{0,8}}?json[^,]{{0,8}}?{_HAN_SAY}|"
            rf"{_HAN_ORDER}(?:用|以)?(?:输出|返回|回传|回答|给我?|提供|转成|转换成|转为|产生|生成)"
            r"(?:一[个段份]|合法的?|有效的?|纯|为|成|\s)*json|"
            r"[,(]\s*(?:以|用)?\s*json\s*(?:格式)?[。)]?$"
        ),
    ),
    _Requests(
        "list",
        ("list", "列", "清单"),
        re.compile(
            rf"{_ORDER}(?:{_SAY}as {_QUALIFIED}list\b|"
            rf"{_HAND}{_QUALIFIED}list(?= of\b| with\b|\W*$))"
        ),
        re.compile(r"(?:[,(] ?as|^) (?:an? )?(?:(?:bulleted|bullet|numbered) )?list[.!)?]*$"),
        re.compile(
            rf"{_HAN_ORDER}(?:(?:用|以)[^,]{{0,8}})?(?:列出|条列|列点)|"
            rf"{_HAN_ORDER}(?:用|以)[^,]{{0,4}}(?:清单|列表)[^,]{{0,4}}{_HAN_SAY}|"
            rf"{_HAN_ORDER}(?:给|列|写|整理|做|提供)[^,]{{0,12}}清单|"
            r"[,(]\s*(?:用|以)?(?:条列|列点)(?:式|方式)?[。)]?$"
        ),
    ),
    _Requests(
        "word",
        ("word", "词"),
        re.compile(
            rf"{_ORDER}(?:{_SAY}(?:in|with|using|as) (?:just |only |exactly )?{_ONE_WORD}\b|"
            rf"{_HAND}{_QUALIFIED}(?<=one |gle )word\b)"
        ),
        re.compile(
            rf"(?:[,(] ?|^)(?:in |with )?(?:just |only |exactly )?{_ONE_WORD}(?: only)?"
            r"(?:,? please)?[.!)?]*$|"
            rf"^(?:in|with|using) (?:just |only |exactly )?{_ONE_WORD}\b|"
            r"^(?:an? )?(?:one|single)[- ]word (?:answer|reply)\b|"
            r"^(?!.*\b(?:written|spell\w*|spelt|words)\b).*"
            rf"\b(?:in|with) (?:just |only |exactly )?{_ONE_WORD}\W*$"
        ),
        re.compile(
            rf"{_HAN_ORDER}(?:用|以|使用)(?:\s|只|最贴切的)*(?:{_HAN_ONE_WORD})[^,]{{0,3}}?"
            rf"(?:{_HAN_SAY}|就好|即可|。?$)|"
            rf"{_HAN_ORDER}(?:说|写|选|给)(?:出|我)?(?:{_HAN_ONE_WORD})(?:就好|即可|。?$)|"
            rf"(?:[,(]\s*|^)(?:{_HAN_ONE_WORD})(?:就好|即可|回答|作答)?[。)]?$"
        ),
    ),
)  # fmt: skip


@lru_cache(maxsize=256)
def form_asked(question: str) -> Form | None:
    """The form that the question asks for, or None if it leaves that open."""
    plain = fold_han(normalise(question))
    for requests in _REQUESTS:
        if not any(key in plain for key in requests.keys):
            continue
        if any(_asks(requests, sentence) for sentence in _sentences(plain)):
            return requests.form
    return None


def names_language(question: str) -> bool:
    """Whether it names a language to answer in, or to say something in: then both scripts may be
    right, whatever the question itself is written in."""
    return _LANGUAGE.search(fold_han(normalise(question))) is not None


def _sentences(plain: str) -> Iterator[str]:
    for sentence in _SENTENCE_END.split(plain):
        if words := " ".join(sentence.split()):
            yield words


def _asks(requests: _Requests, sentence: str) -> bool:
    if requests.named.search(sentence) or requests.han.search(sentence):
        return True
    return not _INQUIRES.search(sentence) and requests.ordered.search(sentence) is not None
