"""Answers that are none: refusals, ignorance, talk about instructions; pure."""

import re
from functools import lru_cache

from inference.analysis import Analysis
from inference.prompting import MARKERS
from inference.wording import Spotter

_REFUSES = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able|afraid)|i (?:cannot|can't|can not|won't|will not|"
    r"am not (?:able|allowed)|must decline|have to decline)(?: \w+)? (?:\w+ )?(?:answer|help|"
    r"assist|"
    r"provide|comply|do that|discuss|share|give|offer|say|fulfil|fulfill|respond|access)|"
    r"(?:can't|cannot|unable to) (?:help|assist)(?: you)? with (?:that|this)|"
    r"as an? (?:ai|language model)|against my (?:guidelines|policy|programming))\b|"
    "(?:很|非常)?抱歉.{0,12}(?:无法|不能|没办法)|我(?:无法|不能|没办法)(?:回答|提供|协助|帮|透露|讨论)|"
    "身为(?:一个)?(?:ai|人工智能|语言模型)|作为(?:一个)?(?:ai|人工智能|语言模型)"
)
_KNOWS_NOTHING = re.compile(
    r"^\W*(?:sorry,? )?(?:i (?:really )?(?:do not|don't) (?:actually )?(?:know|"
    r"have (?:enough|any|that|"
    r"access|real-time|current))|i have no (?:idea|information)|i(?:'m| am) not (?:sure|"
    r"certain)\W*$|"
    r"no idea\b|(?:it is |that is |it's |that's )?(?:unknown|unclear|impossible to (?:say|"
    r"tell))\W*$|"
    r"(?:there is|there's) no (?:information|way to know))|"
    "^\\W*(?:我)?(?:不知道|不清楚|不确定|没有相关(?:资料|信息|资讯)|无法(?:得知|确定|判断)|查无)"
)
# "List<String>" and "<name>" are code and placeholders; these open turns, or pretend to.
_ROLE_TAGS = r"</?(?:system|assistant|judge|grader|evaluator|instructions?)>"
# Underscores are taken for emphasis, and gone.
_MARKERS = MARKERS.casefold().replace("_", "_?")
_INJECTED = Spotter(
    "ignore disregard forget override now prompt instruction mode jailbreak < inst [ 忽略 无视 "
    "你现在 提示词",
    r"\b(?:ignore|disregard|forget|override) (?:all |any |the |your |every )*(?:previous|"
    r"prior|above|"
    r"earlier|preceding|system)? ?(?:instructions?|prompts?|rules?|messages?)|"
    r"\byou are now\b|\bsystem prompt\b|\bnew instructions?:|\bdeveloper mode\b|\bjailbreak|"
    rf"{_MARKERS}|{_ROLE_TAGS}|"
    "忽略(?:以上|之前|先前|前面|所有|上述)(?:的|所有)*(?:指令|指示|提示|规则)|"
    "无视(?:以上|之前|先前|所有)|你现在是|系统提示词",
)


def injections(text: Analysis) -> tuple[str, ...]:
    """The phrases of a text that give a model other instructions, as found in its folded form."""
    return _INJECTED.findall(text.whole.plain)


_DISOWNS = Spotter(
    "false wrong true case incorrect opposite contrary correct right 不 错 误 假 反",
    r"\b(?:false|wrong|untrue|incorrect|not true|not the case) (?:that|to say)\b|"
    r"\b(?:exact )?opposite (?:of (?:this|that|it) )?(?:is|holds|applies)\b|\bon the contrary\b|"
    r"\b(?:the above|this answer|this statement|all of this|what i said) (?:is|was) (?:false|wrong|"
    r"incorrect|untrue|not (?:true|correct|right))|"
    "(?:以上|上述|前述)(?:说法|内容|答案|叙述|资讯)?(?:并|皆|都|完全)?(?:不正确|不对|错误|有误|不实|"
    "不成立|是错的|是假的)|事实(?:上)?(?:正好|恰好|刚好)?相反|正好相反|恰恰相反",
)
# Said of a yes-or-no question these are an answer: "It's a myth."
_CALLS_FALSE = Spotter(
    "false wrong true incorrect lie case myth 不符 并非",
    r"\b(?:it is|it's|that is|that's|this is) (?:false|wrong|untrue|incorrect|a lie|not true|"
    r"not the case|a myth)\b|与事实不符|并非事实",
)


@lru_cache(maxsize=4_096)
def disowned(answer: Analysis, *, asked_yes_or_no: bool) -> str:
    """What an answer says to take back what it states, such as "the opposite is true"."""
    plain = answer.whole.affirmed
    found = _DISOWNS.search(plain) or (None if asked_yes_or_no else _CALLS_FALSE.search(plain))
    return found[0] if found else ""


@lru_cache(maxsize=4_096)
def standing(answer: Analysis) -> str:
    """``answer``, or what the text does instead: ``refuses``, ``knows nothing``, ``injected``."""
    plain = answer.whole.plain
    if injections(answer):
        return "injected"
    if _REFUSES.search(plain[:160]):
        return "refuses"
    return "knows nothing" if _KNOWS_NOTHING.search(plain) else "answer"
