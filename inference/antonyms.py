"""Pairs of opposite poles, in English and Chinese; pure data and its lookup.

Each pair has a name for the report, and two lists of words. English words stand for their forms
("rise" for "rises", "rising", "rose"); irregular forms are listed. Left out on purpose: pairs that
swap with their arguments ("A is before B" is "B is after A").
"""

import re
from typing import Literal, NamedTuple

from inference.wording import stem

Pole = Literal[1, -1]


class Opposites(NamedTuple):
    """One pair of poles; ``comparative`` ones turn round when their arguments change places."""

    positive: str
    negative: str
    comparative: bool = False


# The first word of each list names the pole.
ENGLISH: tuple[Opposites, ...] = (
    Opposites(
        "rise rose risen rising increase climb grow grew grown growth gain surge soar upward up "
        "rally appreciate",
        "fall fell fallen falling decrease decline drop dropped dropping shrink shrank lose lost "
        "loss plunge plummet downward down depreciate slump",
    ),
    Opposites("higher above", "lower below", comparative=True),
    Opposites("more greater larger bigger", "less fewer smaller", comparative=True),
    Opposites("faster quicker", "slower", comparative=True),
    Opposites("stronger", "weaker", comparative=True),
    Opposites("older", "younger newer", comparative=True),
    Opposites("heavier", "lighter", comparative=True),
    Opposites("largest biggest greatest", "smallest tiniest"),
    Opposites("highest tallest", "lowest shortest"),
    Opposites("best", "worst"),
    Opposites("maximum maximize maximise", "minimum minimize minimise"),
    Opposites("buy bought buying", "sell sold selling"),
    Opposites("bullish", "bearish"),
    Opposites("optimistic", "pessimistic"),
    Opposites("win won winning winner", "defeat defeated loser"),
    Opposites("accept approve", "reject refuse deny"),
    Opposites("allow permit permitted", "forbid forbidden prohibit ban banned disallow"),
    Opposites("support", "oppose"),
    Opposites("agree", "disagree"),
    Opposites("succeed success successful", "fail failure unsuccessful"),
    Opposites("safe", "unsafe dangerous"),
    Opposites("legal lawful", "illegal unlawful"),
    Opposites("possible", "impossible"),
    Opposites("likely", "unlikely"),
    Opposites("able", "unable"),
    Opposites("true correct", "false incorrect wrong"),
    Opposites("positive", "negative"),
    Opposites("guilty", "innocent"),
    Opposites("alive living", "dead"),
    Opposites("hot", "cold"),
    Opposites("strengthen", "weaken"),
    Opposites("improve", "worsen deteriorate"),
    Opposites("north northern", "south southern"),
    Opposites("east eastern", "west western"),
    Opposites("always", "never"),
    Opposites("everyone everybody", "nobody none"),
    Opposites("enter entered", "exit exited"),
    Opposites("profit profitable", "unprofitable"),
    Opposites("healthy beneficial", "unhealthy harmful"),
    Opposites("inside", "outside"),
    Opposites("enable", "disable"),
)

HAN: tuple[Opposites, ...] = (
    Opposites(
        "上漲 上涨 上升 上揚 上扬 增加 增長 增长 成長 成长 提高 提升 走高 攀升 飆升 飙升 漲 涨 "
        "升高",
        "下跌 下降 減少 减少 衰退 降低 走低 滑落 暴跌 跌 調降 调降",
    ),
    Opposites("高於 高于 大於 大于 多於 多于", "低於 低于 小於 小于 少於 少于", comparative=True),
    Opposites("較高 较高 更高", "較低 较低 更低", comparative=True),
    Opposites("較多 较多 更多", "較少 较少 更少", comparative=True),
    Opposites("較大 较大 更大", "較小 较小 更小", comparative=True),
    Opposites("較快 较快 更快", "較慢 较慢 更慢", comparative=True),
    Opposites("最大", "最小"),
    Opposites("最高", "最低 最矮"),
    Opposites("最多", "最少"),
    Opposites("最好 最佳", "最差 最糟"),
    Opposites("最快", "最慢"),
    Opposites("買入 买入 買進 买进 購買 购买 買", "賣出 卖出 賣掉 卖掉 出售 賣 卖"),
    Opposites("看多 看漲 看涨 牛市 利多", "看空 看跌 熊市 利空"),
    Opposites("樂觀 乐观", "悲觀 悲观"),
    Opposites("贏 赢 獲勝 获胜 勝利 胜利", "輸 输 落敗 落败 失利"),
    Opposites("接受 批准 通過 通过", "拒絕 拒绝 否決 否决"),
    Opposites("允許 允许 准許 准许", "禁止"),
    Opposites("支持 贊成 赞成 同意", "反對 反对"),
    Opposites("成功", "失敗 失败"),
    Opposites("安全", "危險 危险"),
    Opposites("合法", "非法 違法 违法"),
    Opposites("正確 正确", "錯誤 错误"),
    Opposites("正面", "負面 负面"),
    Opposites("有罪", "無罪 无罪"),
    Opposites("有效", "無效 无效"),
    Opposites("有害", "無害 无害"),
    Opposites("強勁 强劲 增強 增强", "疲軟 疲软 減弱 减弱"),
    Opposites("改善", "惡化 恶化"),
    Opposites("北", "南"),
    Opposites("東 东", "西"),
    Opposites("總是 总是", "從不 从不 從未 从未"),
    Opposites("開始 开始", "結束 结束"),
    Opposites("擴張 扩张", "收縮 收缩"),
    Opposites("獲利 获利 盈利", "虧損 亏损"),
)


class PoleWord(NamedTuple):
    """A word that stands for one pole of a pair."""

    pair: Opposites
    pole: Pole


def _poles(pair: Opposites) -> tuple[tuple[Pole, str], tuple[Pole, str]]:
    return (1, pair.positive), (-1, pair.negative)


def _english_index() -> dict[str, PoleWord]:
    index: dict[str, PoleWord] = {}
    for pair in ENGLISH:
        for pole, listed in _poles(pair):
            for word in listed.split():
                index.setdefault(word, PoleWord(pair, pole))
                index.setdefault(stem(word), PoleWord(pair, pole))
    return index


def _han_index() -> dict[str, PoleWord]:
    return {
        word: PoleWord(pair, pole)
        for pair in HAN
        for pole, listed in _poles(pair)
        for word in listed.split()
    }


_ENGLISH_INDEX = _english_index()
_HAN_INDEX = _han_index()
# Single directions count only as parts of such words: 東西 is a thing, 西瓜 a melon.
_HAN_WORDS = re.compile(
    "|".join(
        f"[{word}](?=[方部邊边側侧風风])" if word in "北南東东西" else word
        for word in sorted(_HAN_INDEX, key=lambda word: (-len(word), word))
    )
)


def english_pole(word: str) -> PoleWord | None:
    """The pole that a lower-case English word stands for, in any regular form."""
    return _ENGLISH_INDEX.get(word) or _ENGLISH_INDEX.get(stem(word))


def han_poles(text: str) -> list[tuple[int, str, PoleWord]]:
    """Pole words of a normalised Chinese text with their positions."""
    return [(m.start(), m[0], _HAN_INDEX[m[0]]) for m in _HAN_WORDS.finditer(text)]
