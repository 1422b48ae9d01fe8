"""Who did it to whom, in English and Chinese; pure.

An act has one who does it and one whom it is done to. Word order, the passive, and the verb itself
(``buy`` against ``sell to``, ``beat`` against ``lose to``) say which is which. Two texts swap the
roles if they name the same two parties around an act of one family and disagree on who acts.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from inference.analysis import Part
from inference.lexicon import fold_han, lemmas
from inference.wording import FUNCTION_WORDS, listed

# Families of acts: verbs whose subject acts | verbs whose subject undergoes it.
_FAMILIES = (
    (
        "acquire purchase take_over buy absorb merge_with swallow annex",
        "sell_to sell belong_to",
    ),
    ("send give lend pay transfer grant hand donate deliver", "receive borrow get obtain take owe"),
    ("beat defeat win outplay overcome conquer crush outperform outrank", "lose lose_to trail"),
    ("cause trigger produce create lead_to", "result_from stem_from follow_from"),
    ("teach instruct train", "learn_from"),
    ("lead head found own control employ hire manage sue accuse attack invade criticise help", ""),
)
_DOER_NOUNS: dict[str, int] = {
    "buyer": 0, "purchaser": 0, "acquirer": 0, "sender": 1, "lender": 1, "giver": 1, "payer": 1,
    "donor": 1, "winner": 2, "winners": 2, "champion": 2, "champions": 2, "victor": 2, "cause": 3,
    "teacher": 4,
}  # fmt: skip
_UNDERGOER_NOUNS = {
    "seller": 0, "target": 0, "recipient": 1, "receiver": 1, "borrower": 1, "payee": 1,
    "loser": 2, "losers": 2, "runner-up": 2, "effect": 3, "result": 3, "student": 4, "pupil": 4,
}  # fmt: skip
# "A is the parent of B" against "B is the parent of A".
_ABOVE = {"parent": 6, "owner": 6, "teacher": 4, "mentor": 4, "tutor": 4, "father": 7, "mother": 7,
          "boss": 8, "employer": 8, "manager": 8, "author": 9, "creator": 9, "founder": 9,
          "predecessor": 10, "capital": 11, "cause": 3}  # fmt: skip
_BELOW = {"subsidiary": 6, "student": 4, "pupil": 4, "disciple": 4, "son": 7, "daughter": 7,
          "child": 7, "employee": 8, "work": 9, "creation": 9, "successor": 10, "result": 3,
          "consequence": 3}  # fmt: skip
_NO_PARTIES = frozenset(listed("yes no all a i qu btc eth usd eur"))
_BE = frozenset(listed("is was were been are be being got"))
_HAN_ACTS = (
    ("收购 并购 买下 买走 吞并 接管 合并", ""),
    ("借给 借钱给 汇给 转给 寄给 送给 付给 发给 卖给 传给 赠予 支付", "收到 收取 借了 借入 得到"),
    ("击败 打败 战胜 赢了 赢过 淘汰", "输给 败给 不敌"),
    ("导致 引起 造成 引发", "源于 来自 起因于"),
    ("教 训练 指导", "师从"),
    ("领导 创立 拥有 控制 控告 攻击 起诉 投资 雇用", ""),
)
_HAN_DOERS = {"买方": 0, "买家": 0, "收购方": 0, "出借人": 1, "汇款人": 1, "寄件人": 1, "发送者": 1,
              "赢家": 2, "胜者": 2, "冠军": 2, "原因": 3}  # fmt: skip
_HAN_UNDERGOERS = {"卖方": 0, "卖家": 0, "被收购方": 0, "借款人": 1, "收款人": 1, "收件人": 1,
                   "接收者": 1,
                   "输家": 2, "败者": 2, "亚军": 2, "结果": 3}  # fmt: skip


_HAN_ABOVE = {"老师": 4, "师父": 4, "父亲": 7, "爸爸": 7, "母亲": 7, "妈妈": 7, "母公司": 6,
              "老板": 8,
              "主管": 8, "上司": 8, "作者": 9, "创办人": 9, "前身": 10, "原因": 3}  # fmt: skip
_HAN_BELOW = {"学生": 4, "徒弟": 4, "儿子": 7, "女儿": 7, "子公司": 6, "员工": 8,
              "下属": 8, "部下": 8,
              "作品": 9, "后继者": 10, "结果": 3}  # fmt: skip


_HAN_PARTY = "(?:(?![是由被把将在对])[㐀-鿿])"
"""A character of a party's name; these end it."""


class _Doer(NamedTuple):
    """In an act of this family, ``party`` is the doer (1) or the one it is done to (-1)."""

    family: int
    party: str
    sign: int


def roles_swapped(a: Part, b: Part) -> tuple[str, str] | None:
    """The doers in the two texts, if a party does it in one and undergoes it in the other."""
    for x in _clear(_parties(a)):
        for y in _clear(_parties(b)):
            if x.family == y.family and x.sign != y.sign and _same_party(x.party, y.party):
                return _told(x), _told(y)
    return None


def _clear(parties: tuple[_Doer, ...]) -> list[_Doer]:
    """Without the parties that a text puts on both sides of an act."""
    return [
        x
        for x in parties
        if not any(
            y.family == x.family and y.sign != x.sign and _same_party(x.party, y.party)
            for y in parties
        )
    ]


def _told(doer: _Doer) -> str:
    return f"{doer.party} does" if doer.sign > 0 else f"done to {doer.party}"


def _same_party(x: str, y: str) -> bool:
    return x == y or (len(x) > 1 and len(y) > 1 and (x in y or y in x))


@lru_cache(maxsize=8_192)
def _parties_of(text: str, bare: str, ordered: tuple[str, ...]) -> tuple[_Doer, ...]:
    return (*_english(text, ordered), *_han(fold_han(bare)))


def _parties(part: Part) -> tuple[_Doer, ...]:
    return _parties_of(part.text, part.bare, part.ordered)


def _english(text: str, ordered: tuple[str, ...]) -> Iterator[_Doer]:
    capitals = {
        name.lower().removesuffix("'s")
        for name in re.findall(r"\b[A-Z][\w'&.-]*\w|\b[A-Z]\b", text.replace("’", "'"))
        if (len(name) > 1 and name.isupper()) or name.lower() not in FUNCTION_WORDS
    }
    capitals = {word for word in capitals if word not in _NO_PARTIES and not word.endswith("ly")}
    names = [at for at, word in enumerate(ordered) if word in capitals]
    for at, word in enumerate(ordered):
        family, sign = _act(ordered, at)
        if family is not None:
            passive = (
                at > 0
                and any(w in _BE for w in ordered[max(0, at - 2) : at])
                and ("by" in ordered[at + 1 : at + 3])
            )
            before = [n for n in names if n < at]
            after = [n for n in names if n > at]
            subject = 1 if (sign > 0) != passive else -1
            if before:
                yield _Doer(family, ordered[before[-1]], subject)
            if after and not (before and ordered[before[-1]] == ordered[after[0]]):
                yield _Doer(family, ordered[after[0]], -subject)
        kin = 1 if word in _ABOVE else -1 if word in _BELOW else 0
        if kin:
            group = _ABOVE.get(word, _BELOW.get(word, 0))
            before = [n for n in names if n < at and any(w in _BE for w in ordered[n + 1 : at])]
            after = [n for n in names if n > at and "of" in ordered[at + 1 : n]]
            if before and after:
                yield _Doer(group, ordered[before[-1]], kin)
                yield _Doer(group, ordered[after[0]], -kin)
            continue
        role = 1 if word in _DOER_NOUNS else -1 if word in _UNDERGOER_NOUNS else 0
        if role:
            group = _DOER_NOUNS.get(word, _UNDERGOER_NOUNS.get(word, 0))
            near = [n for n in names if abs(n - at) <= 4]
            if near:
                closest = min(near, key=lambda n: (abs(n - at), n))
                yield _Doer(group, ordered[closest], role)


def _act(ordered: tuple[str, ...], at: int) -> tuple[int | None, int]:
    """The family of the act at this word, and whether its subject acts (1) or undergoes it."""
    word = ordered[at]
    follower = ordered[at + 1] if at + 1 < len(ordered) else ""
    for form in sorted(lemmas(word)):
        found = _VERBS.get(f"{form}_{follower}") or _VERBS.get(form)
        if found:
            return found
    return None, 0


def _han(folded: str) -> Iterator[_Doer]:
    for clause in re.split("[，。；,;！？!?]", folded):
        for match in _HAN_VERB.finditer(clause):
            family, sign = _HAN_VERBS[match[0]]
            before, after = clause[: match.start()], clause[match.end() :].lstrip("了过")
            if "被" in before or "遭" in before or "由" in before:
                first, _, second = re.split("([被遭由])", before, maxsplit=1)
                undergoer, doer = _head(first), _tail(second) or _head(second)
                yield from _pair(family, doer, undergoer, sign)
            elif match[0].startswith("借") and re.search("[向跟从]", before):
                first, second = re.split("[向跟从]", before, maxsplit=1)
                yield from _pair(1, _tail(second), _head(first), 1)
            else:
                yield from _pair(family, _tail(before), _head(after), sign)
        if kin := _HAN_KIN.search(clause):
            above = 1 if kin[3] in _HAN_ABOVE else -1
            group = _HAN_ABOVE.get(kin[3], _HAN_BELOW.get(kin[3], 0))
            yield from _pair(group, kin[1], kin[2], above)
        for match in _HAN_ROLE.finditer(clause):
            role, party = match[1], match[2]
            if role in _HAN_DOERS:
                yield _Doer(_HAN_DOERS[role], party, 1)
            else:
                yield _Doer(_HAN_UNDERGOERS[role], party, -1)


def _pair(family: int, doer: str, undergoer: str, sign: int) -> Iterator[_Doer]:
    if doer:
        yield _Doer(family, doer, sign)
    if undergoer:
        yield _Doer(family, undergoer, -sign)


def _head(text: str) -> str:
    match = re.match(rf"\s*({_HAN_PARTY}{{2,8}}|[a-z]+)", text)
    return match[1] if match else ""


def _tail(text: str) -> str:
    match = re.search(rf"({_HAN_PARTY}{{2,8}}|[a-z]+)\s*$", text)
    return match[1] if match else ""


def _verb_table(
    families: tuple[tuple[str, str], ...],
) -> dict[str, tuple[int, int]]:
    return {
        verb: (number, sign)
        for number, family in enumerate(families)
        for sign, verbs in zip((1, -1), family, strict=True)
        for verb in verbs.split()
    }


_VERBS = _verb_table(_FAMILIES)
_HAN_VERBS = _verb_table(_HAN_ACTS)
_HAN_VERB = re.compile("|".join(sorted(_HAN_VERBS, key=lambda verb: (-len(verb), verb))))
_HAN_KIN = re.compile(
    "([㐀-鿿]{2,6})是([㐀-鿿]{2,6})的("
    + "|".join(sorted({**_HAN_ABOVE, **_HAN_BELOW}, key=lambda w: (-len(w), w)))
    + ")"
)
_HAN_ROLE = re.compile(
    "(" + "|".join(sorted({**_HAN_DOERS, **_HAN_UNDERGOERS}, key=lambda w: (-len(w), w)))
    + ")(?:是|为|：|:)([㐀-鿿]{2,8}|[a-z]+)"
)  # fmt: skip
