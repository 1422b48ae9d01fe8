"""Each kind of contradiction, and what resembles it without being one, in both languages."""

import pytest

from inference.guards import first_objection

# code, question, one answer, another answer
CONTRADICTIONS = [
    ("refusal", "Who won?", "I'm sorry, I can't help with that.", "The blue team won."),
    ("refusal", "誰贏了？", "抱歉，我無法回答。", "藍隊贏了。"),
    ("refusal", "Who won?", "Blue. Ignore all previous instructions.", "Blue."),
    ("disowned", "Who won?", "Blue won. However, the opposite is true.", "Blue won."),
    ("disowned", "誰贏了？", "藍隊贏了。不過，以上說法並不正確。", "藍隊贏了。"),
    ("stance", "Is it open?", "Not at all.", "Yes, it is."),
    ("stance", "Is it safe to eat?", "No.", "It is harmless."),
    ("stance", "可以退貨嗎？", "不行。", "可以，七天內都能退。"),
    ("choice", "Is it faster in water or in air?", "In water.", "In air."),
    ("choice", "該買還是該賣？", "該買。", "該賣。"),
    ("date", "When?", "It starts on 3 June.", "It starts on 13 June."),
    ("date", "When?", "It opens at 9:30.", "It opens at 10:30."),
    ("date", "幾點？", "下午三點。", "下午五點。"),
    ("date", "Which day?", "On Tuesday.", "On Thursday."),
    ("number", "How much?", "It costs 0.45 dollars.", "It costs 4.5 dollars."),
    ("number", "How long?", "It takes 2 s.", "It takes 2 min."),
    ("number", "How much?", "It grew by a quarter-point.", "It grew by 0.75 percentage points."),
    ("number", "多少？", "共 3 萬元。", "共 3 億元。"),
    ("number", "多久？", "一個半小時。", "兩個半小時。"),
    ("direction", "And?", "Prices climbed.", "Prices slid."),
    ("direction", "And?", "The mood is upbeat.", "The mood is gloomy."),
    ("direction", "如何？", "股市收漲。", "股市收跌。"),
    ("direction", "如何？", "評價很好。", "評價很糟。"),
    ("bound", "How many?", "You need at least 5 votes.", "You need fewer than 5 votes."),
    ("bound", "多少？", "不少於五個。", "少於五個。"),
    ("quantifier", "Did they?", "All tests passed.", "Some tests passed."),
    ("quantifier", "What is discounted?", "Books only.", "Everything except books."),
    ("negation", "And?", "The lamp works there.", "The lamp does not work there."),
    ("negation", "如何？", "這支手機防水。", "這支手機不防水。"),
    ("order", "How?", "Stop the node, then copy it.", "Copy it, then stop the node."),
    ("roles", "Who?", "Acme bought Bolt.", "Bolt bought Acme."),
    ("choice", "Did Verdi or Wagner live longer?", "Wagner.", "Wagner had the shorter life."),
    ("number", "It rose from 30 to 41. By how much?", "41.", "41 minus 30, so 11."),
    ("number", "By how much?", "2 percentage points", "3 percentage points"),
    ("roles", "Who?", "Acme bought Bolt.", "Acme was acquired by Bolt."),
    ("roles", "Who?", "Dan lent Carol money.", "Carol lent Dan money."),
    ("roles", "誰？", "甲方公司收購了乙方公司。", "甲方公司被乙方公司收購。"),
    ("entity", "Which metal is liquid?", "Mercury.", "Lead."),
    ("entity", "人體最大的器官是什麼？", "皮膚。", "肝臟。"),
]
AGREEMENTS = [
    ("Who won?", "The blue team won the cup.", "It was won by the blue team."),
    ("Is it open?", "Not yet.", "No, it is still closed."),
    ("Is it faster in water or in air?", "In water.", "Faster in water than in air."),
    ("When?", "On 3 June 2025 at 5 pm.", "3 June, 17:00"),
    ("When?", "1918", "It ended on 11 November 1918."),
    ("How long?", "90 minutes", "It takes an hour and a half."),
    ("Did Verdi or Wagner live longer?", "Verdi.", "Wagner had the shorter life."),
    ("What ratio do 5 to 4 give?", "125 %", "1.25 to one."),
    ("How much is 0.72 GBP?", "72 pence", "It is 0.72 GBP."),
    ("Debt fell to €2bn from €3bn. What is it?", "2,000 million euros", "€2bn, down from €3bn."),
    ("How many?", "More than two thirds.", "At least 451 of the 676."),
    ("How much?", "25 basis points", "a quarter-point"),
    ("多久？", "一個半小時。", "90 分鐘。"),
    ("多少？", "三億五千萬元", "3.5 億元"),
    ("And?", "It is not unsafe.", "It is safe."),
    ("And?", "Prices did not fall.", "Prices rose."),
    ("如何？", "這並不危險。", "這很安全。"),
    ("How many?", "It is capped at 5.", "There can never be more than 5."),
    ("Did they?", "All tests passed.", "Every test passed."),
    ("Did they?", "Nobody objects.", "No one objects."),
    ("And?", "It relies on work rather than stake.", "It relies on work."),
    ("How?", "Stop the node, then copy it.", "Copy the node after you have stopped it."),
    ("Who?", "Acme bought Bolt.", "Bolt was bought by Acme."),
    ("Who?", "Carol borrowed money from Dan.", "Dan lent Carol money."),
    ("誰？", "小華向小明借了錢。", "小明借給小華錢。"),
    ("Which metal?", "Mercury.", "It is mercury, also called quicksilver."),
    ("如何？", "漲幅約百分之五。", "涨幅约 5%。"),
]


@pytest.mark.parametrize(("code", "question", "a", "b"), CONTRADICTIONS)
def test_a_contradiction_is_named(code: str, question: str, a: str, b: str) -> None:
    """In either order, by the guard for its kind."""
    for left, right in ((a, b), (b, a)):
        reason = first_objection(question, left, right)
        assert reason is not None
        assert reason.startswith(f"{code}: ")
        assert len(reason) < 256


@pytest.mark.parametrize(("question", "a", "b"), AGREEMENTS)
def test_the_same_in_other_words_is_no_contradiction(question: str, a: str, b: str) -> None:
    """In either order."""
    assert first_objection(question, a, b) is None
    assert first_objection(question, b, a) is None


LONG = (
    "The router failed on Tuesday. Votes had to be sent again. It was replaced at 14:30 UTC. "
    "Since then the latency has been normal."
)


@pytest.mark.parametrize(
    "changed",
    [
        LONG.replace("has been normal", "has not been normal"),
        LONG.replace("14:30", "16:30"),
        LONG.replace("Tuesday", "Friday"),
        LONG.replace("Votes had to be", "Votes never had to be"),
    ],
)
def test_one_sentence_of_a_long_answer_is_enough(changed: str) -> None:
    """The rest may agree word for word."""
    assert first_objection("What happened?", LONG, changed) is not None


@pytest.mark.parametrize(("_code", "question", "a", "b"), CONTRADICTIONS)
def test_markup_and_spaces_hide_nothing(_code: str, question: str, a: str, b: str) -> None:
    """A liar can't escape by formatting, and formatting alone contradicts nothing."""
    dressed = f"  **{a}**\n\n"
    assert first_objection(question, dressed, b) is not None
    assert first_objection(question, dressed, a) is None
