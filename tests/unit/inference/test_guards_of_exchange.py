"""Words exchanged, negations that cancel, rates, currencies and other notations of numbers.

The pairs are made up for the rules; how well the rules do on answers that nobody made for them is
measured by ``make eval``.
"""

import pytest

from inference.double_negation import affirmed
from inference.guards import first_objection
from inference.numerals import quantities

OPPOSED = [
    # Two things in each other's place.
    ("roles", "Who?", "The cook thanked the baker at noon.", "The baker thanked the cook at noon."),
    ("roles", "哪個先？", "先洗米，接著才切菜，最後開火。", "先切菜，接著才洗米，最後開火。"),
    ("negation", "為何？", "甲廠拖慢乙廠，並非乙廠拖慢甲廠。", "乙廠拖慢甲廠，並非甲廠拖慢乙廠。"),
    ("roles", "Which?", "The mill is older than the bridge.", "The bridge is older than the mill."),
    # The condition is another, what follows is the same.
    (
        "condition",
        "When is it refunded?",
        "The deposit is refunded in full if demand rises above 90.",
        "The deposit is refunded in full if demand falls above 90.",
    ),
    # Numbers over time, money, degrees.
    ("number", "Pace?", "It pumps 30 litres per minute.", "It pumps 30 litres per hour."),
    ("number", "多快？", "每秒流過 12 公升。", "每天流過 12 公升。"),
    ("number", "Fee?", "The fee is 75 Swiss francs.", "The fee is 75 euros."),
    ("number", "多少錢？", "新台幣 800 元。", "800 港幣。"),
    ("number", "水溫？", "攝氏 60 度。", "華氏 60 度。"),
    ("number", "Dose?", "Take 5 mg.", "Take 5 µg."),
    ("number", "How likely?", "Nine out of ten.", "60 %"),
    # A denial that stands before a party, or far from its verb.
    ("negation", "版權歸誰？", "版權也一併交給買家。", "版權並未交給買家。"),
    ("negation", "要付費嗎？", "沒有哪一位住戶會被收停車費。", "住戶會被收停車費。"),
    ("stance", "可以把手機放進烤箱烘乾嗎？", "電池受熱會起火，千萬別放進去。", "可以。"),
]  # fmt: skip
ALIKE = [
    ("", "Ada met Bob in Rome.", "Bob met Ada in Rome."),
    ("", "In March they met the mayor.", "They met the mayor in March."),
    ("", "Bern is the capital.", "The capital is Bern."),
    ("", "We need salt and pepper.", "We need pepper and salt."),
    ("買什麼？", "蘋果、香蕉、橘子。", "橘子、香蕉、蘋果。"),
    ("Who lends?", "The bank lends coins to miners.", "Miners borrow coins from the bank."),
    ("Which came first?", "The canal preceded the railway.", "The railway succeeded the canal."),
    ("順序？", "打底在上色之前。", "上色在打底之後。"),
    ("匯率？", "日圓對歐元升值了。", "歐元對日圓貶值了。"),
    # Two negations.
    ("Is it legal?", "It is not illegal to film there.", "It is legal to film there."),
    ("Is it clear?", "The note is anything but clear.", "The note is unclear."),
    ("Did all pay?", "No member failed to pay.", "Every member paid."),
    ("都同意嗎？", "沒有任何一戶表示不同意。", "是，全數同意。"),
    # One number in two notations.
    ("How much?", "8 % of it.", "A share of 0.08 of it."),
    ("How many?", "Half a dozen.", "Six."),
    ("How many?", "One in four.", "25 %."),
    ("How hot?", "74 °C", "165 °F"),
    ("How old?", "Twelve centuries.", "1,200 years."),
    ("Cap?", "$5m", "Five million dollars."),
    ("What share?", "Around 78 %.", "Nearly four fifths."),
    ("多久？", "8分20秒。", "五百秒。"),
    ("多久？", "1小時25分。", "85 分鐘。"),
    ("多少？", "三萬六。", "36,000。"),
    ("多少人？", "約 5,050 萬人。", "五千多萬人。"),
    ("劑量？", "20 微克。", "0.02 毫克。"),
    ("Price?", "USD 2,400,000.", "2.4 million US dollars."),
    # Numbers of different things, in other words.
    ("What was agreed?", "The train gets two carriages fewer from spring.",
     "It shrinks from six coaches to four, which 5,000 had protested against."),
]  # fmt: skip


@pytest.mark.parametrize(("code", "question", "a", "b"), OPPOSED)
def test_it_is_seen_in_either_order(code: str, question: str, a: str, b: str) -> None:
    for left, right in ((a, b), (b, a)):
        reason = first_objection(question, left, right)
        assert reason is not None
        assert reason.startswith(f"{code}:")


@pytest.mark.parametrize(("question", "a", "b"), ALIKE)
def test_nothing_is_objected_to(question: str, a: str, b: str) -> None:
    for left, right in ((a, b), (b, a)):
        assert first_objection(question, left, right) is None


@pytest.mark.parametrize(
    ("text", "plainly"),
    [
        ("it is not unlawful", "it is  lawful"),
        ("it is not interesting", "it is not interesting"),
        ("they did not fail to answer", "they did  answer"),
        ("六名证人没有一个不出庭", "六名证人都出庭"),
        ("没有一个是不同", "没有一个是不同"),
    ],
)
def test_two_negations_are_none(text: str, plainly: str) -> None:
    assert affirmed(text) == plainly


@pytest.mark.parametrize(
    ("text", "unit", "seconds"),
    [
        ("12 km per hour", "km", 3_600),
        ("3 % a year", "%", 31_556_952),
        ("3 % a year ago", "%", None),
        ("每月 20 公斤", "kg", 2_629_746),
        ("20 kg", "kg", None),
    ],
)
def test_a_rate_has_a_period(text: str, unit: str, seconds: int | None) -> None:
    (quantity,) = quantities(text)
    assert (quantity.unit.name, quantity.period) == (unit, seconds)
