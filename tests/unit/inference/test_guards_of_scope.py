"""Which words of a text count: conditions apart from statements, negation, advice, verdicts."""

import pytest

from inference.analysis import analyse
from inference.guards import first_objection
from inference.stance import side_taken

OPPOSED = [
    # What is stated is compared, not what it depends on.
    (
        "direction",
        "And yields?",
        "Yields fall when demand rises.",
        "Yields climb when demand rises.",
    ),
    (
        "direction",
        "And?",
        "Tea prices sink because supply grew.",
        "Tea prices soar because of frost.",
    ),
    ("direction", "走勢？", "因為需求增加，銅價看跌。", "因為供應短缺，銅價看漲。"),
    # Two things in one sentence, each with its own direction.
    ("direction", "How?", "Silver fell, copper rose.", "Silver rose, copper fell."),
    ("direction", "如何？", "日圓升值，韓元貶值。", "日圓貶值，韓元升值。"),
    # A verdict alone, and verbs that only move something.
    (
        "direction",
        "And wheat?",
        "Up. Stocks are low.",
        "Wheat prices are set to fall; stocks are high.",
    ),
    (
        "direction",
        "Margins?",
        "Dearer steel dragged margins down.",
        "Margins grew despite dearer steel.",
    ),
    # Advice and its object.
    ("direction", "我該買嗎？", "建議買進。", "建議先觀望，不要買進。"),
    # Words of health, law, permission.
    ("direction", "Fish?", "The berries are edible.", "The berries are poisonous."),
    ("direction", "And the law?", "The court upheld the ban.", "The court struck down the ban."),
    # Upon, into, and the way back.
    ("direction", "他在做什麼？", "他把貨搬上卡車。", "他正把貨從卡車搬下來。"),
    # Lengths of time in units that are not exactly convertible; results of games.
    ("number", "How long is the notice?", "Three months.", "Six weeks."),
    ("number", "Who won?", "The Lions won 4-2.", "The Lions won 4-1, late in the game."),
    # A copy in which one thing was changed.
    (
        "replaced",
        "How do I store it?",
        "Let the bread cool down first. Wrap it in a clean cotton cloth. Keep it in the freezer.",
        "Let the bread cool down first. Wrap it in a clean cotton cloth. Keep it beside the oven.",
    ),
    # Yes and no without saying so.
    ("stance", "這樣是不是就安全了？", "是的，完全安全。", "不能這樣說，還要看密碼。"),
    ("stance", "Do I need a permit?", "No permit is required.", "Yes, apply for one first."),
    ("stance", "會下雪嗎？", "會下到週三。", "不會，氣溫太高。"),
    ("stance", "Is it worth it?", "Not in the least.", "Yes, by all means."),
    # Exceptions, times, phrases in one place.
    (
        "quantifier",
        "Who pays?",
        "All members but students pay.",
        "All members pay, students included.",
    ),
    ("quantifier", "When?", "You may leave only at noon.", "You may leave whenever you wish."),
    ("order", "How?", "Save it before the power is cut.", "Save it after the power is cut."),
    (
        "replaced",
        "從哪裡來？",
        "資料從公司的伺服器讀取，每小時更新。",
        "資料從客戶手機應用讀取，每小時更新。",
    ),
    ("replaced", "", "A boy in a green shirt is waving", "A boy in a white shirt is waving"),
    ("number", "How cold?", "It was minus seven degrees.", "It was 7 °C."),
    ("number", "How much?", "It costs 60 cents.", "It costs $0.90."),
]
ALIKE = [
    ("公司做了什麼？", "公司推出新款電動車，銷售成長。", "公司正推進電動化，推出新車，銷售成長。"),
    ("How long is the notice?", "Three months.", "Twelve weeks."),
    ("How long is a day there?", "Just under 8 hours.", "Seven hours and fifty-five minutes."),
    ("哪一年？", "民國 96 年開始營運。", "二〇〇七年起正式營運。"),
    ("Who won?", "The Lions won 4-2.", "The Lions did, by four goals to two."),
    ("Which is longer?", "Of the two, the first is longer.", "The first, at 300 km."),
    ("And yields?", "Yields fall when demand rises.", "Yields rise when demand falls."),
    ("And?", "Rates were cut because inflation fell.", "As inflation fell, rates were cut."),
    ("Should I?", "Sell; it is not worth holding.", "I recommend selling."),
    ("該怎麼辦？", "建議賣出。", "不值得持有，賣掉吧。"),
    ("Who is hit?", "Only a few users are affected.", "Most users are not affected."),
    ("All of them?", "No delegate opposed the plan.", "All delegates supported the plan."),
    ("需要嗎？", "不需要連線。", "離線即可，無需連線。"),
    ("Where?", "A quake hit Peru.", "A Peruvian town was hit by a quake."),
    ("How cold?", "It was minus seven degrees.", "-7 °C"),
    ("How much?", "It costs 60 cents.", "It costs $0.60."),
    ("Is it safe?", "Sure! It isn't safe at all.", "No, it is dangerous."),
    ("When?", "It began at 8:15. It rang at 8:40.", "It rang at 8:40. It began at 8:15."),
    ("How?", "Run `make test`.", "Use `make test`."),
    ("", "A man is painting a fence", "A fence is being painted by a man"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "question", "a", "b"), OPPOSED)
def test_what_is_stated_is_set_against_what_is_stated(
    code: str, question: str, a: str, b: str
) -> None:
    """In either order, and by the guard that reads it."""
    for left, right in ((a, b), (b, a)):
        reason = first_objection(question, left, right)
        assert reason is not None
        assert reason.startswith(f"{code}: "), reason


@pytest.mark.parametrize(("question", "a", "b"), ALIKE)
def test_turning_twice_is_no_contradiction(question: str, a: str, b: str) -> None:
    """In either order."""
    assert first_objection(question, a, b) is None
    assert first_objection(question, b, a) is None


@pytest.mark.parametrize(
    ("question", "answer", "side"),
    [
        ("Does the fee cover breakfast?", "Breakfast isn't covered.", -1),
        ("Is the lake frozen?", "By no means.", -1),
        ("Is the lake frozen?", "In most cases, yes.", 1),
        ("Was the vote passed?", "The motion was rejected.", -1),
        ("Is the vote secret?", "The hall was full.", 0),
        ("可以帶寵物嗎？", "千萬別帶寵物進來。", -1),
        ("可以帶寵物嗎？", "可以帶小型犬。", 1),
        ("會漲價嗎？", "會議延到下週。", 0),
    ],
)
def test_the_side_on_a_question_of_yes_or_no(question: str, answer: str, side: int) -> None:
    """By its opening, by a negated word of the question, by an axis that both name, or none."""
    assert side_taken(analyse(question), analyse(answer)) == side


def test_a_number_behind_a_word_is_no_mark_of_a_list() -> None:
    """ "Exit 7." ends a sentence with a number that counts."""
    sentences = analyse("Take exit 7. The hotel is on the left.").sentences
    assert [len(sentence.quantities) for sentence in sentences] == [1, 0]
    assert not analyse("1. Stop it 2. Copy it").whole.quantities
