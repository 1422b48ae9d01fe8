"""Which pairs of answers are vetoed, and which paraphrases are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.guards import first_objection
from inference.wording import listed

# question, one answer, another answer, the codes of acceptable reasons (empty: no veto)
ENGLISH_CONTRADICTIONS = [
    (
        "What is the capital of France?",
        "The capital of France is Paris.",
        "The capital of France is Lyon.",
        "entity",
    ),
    ("What is the capital of France?", "Paris.", "Lyon.", "entity"),
    (
        "What is the capital of France?",
        "Paris is the capital of France.",
        "Lyon is the capital of France.",
        "entity",
    ),
    ("What is the capital of France?", "Paris is in Europe.", "Lyon is in Europe.", "entity"),
    (
        "Who wrote Hamlet?",
        "William Wordsworth",
        "Hamlet was written by William Shakespeare.",
        "entity",
    ),
    ("Which country won?", "The US.", "The United Kingdom.", "entity"),
    ("How much did it rise?", "It rose by 5 %.", "It rose by 50 %.", "number"),
    ("How many days in a week?", "Seven.", "There are 5 days.", "number"),
    ("When did WW2 end?", "It ended in 1944.", "It ended on September 2, 1945.", "date"),
    ("When?", "In May 1945.", "In June 1945.", "date"),
    ("How hot?", "100 °C", "100 °F", "number"),
    ("What will oil prices do?", "Oil prices will rise.", "Oil prices will fall.", "direction"),
    ("Should I sell?", "Sell now.", "Do not sell now.", "stance|direction"),
    ("Is water wet?", "Yes.", "No.", "stance"),
    ("Is water wet?", "No.", "Water is wet.", "stance"),
    ("Is water wet?", "Yes", "No, water is not wet.", "stance"),
    ("Is water wet?", "Water is wet.", "Water is not wet.", "negation|direction"),
    ("Is it safe?", "It is safe.", "It is not safe.", "direction|stance"),
    ("Is it safe?", "It is safe.", "It is unsafe.", "direction"),
    (
        "Is the Sun big?",
        "The Sun is larger than the Moon.",
        "The Sun is smaller than the Moon.",
        "direction",
    ),
    ("What gas do plants absorb?", "Oxygen.", "Nitrogen.", "entity"),
    ("How?", "The market grew strongly.", "The market declined.", "direction"),
    (
        "Who was the first US president?",
        "George Washington.",
        "Thomas Jefferson was the first US president.",
        "entity",
    ),
    ("Which planet is the largest?", "Jupiter", "The largest planet is Saturn.", "entity"),
]
ENGLISH_PARAPHRASES = [
    (
        "What is the capital of France?",
        "Paris.",
        "The capital of France is Paris, in Europe's west.",
        "",
    ),
    ("What is the capital of France?", "Paris", "It's Paris, the city of light.", ""),
    (
        "What is the capital of France?",
        "The capital is Paris.",
        "France's capital city is Paris.",
        "",
    ),
    ("Who wrote Hamlet?", "Shakespeare", "Hamlet was written by William Shakespeare.", ""),
    (
        "Who developed relativity?",
        "Einstein, a German physicist.",
        "Albert Einstein developed it.",
        "",
    ),
    ("Which country won?", "USA", "The United States won.", ""),
    ("How much did it rise?", "It rose by five percent.", "It rose by 5%.", ""),
    ("How many days in a week?", "Seven.", "There are 7 days.", ""),
    ("When did WW2 end?", "1945", "It ended on September 2, 1945.", ""),
    ("How long is a day?", "24 hours", "1 day, that is 24 hours", ""),
    ("How hot?", "100 °C", "212 °F", ""),
    ("What will oil prices do?", "Prices will not rise.", "Prices will fall.", ""),
    ("What will oil prices do?", "Prices will increase.", "Prices are going up.", ""),
    ("What will oil prices do?", "They rise and fall.", "They fall.", ""),
    ("Is water wet?", "Yes, water is wet.", "Water is wet.", ""),
    ("Is it safe?", "It is not unsafe.", "It is safe.", ""),
    ("Can pigs fly?", "Pigs cannot fly.", "Pigs can't fly.", ""),
    ("Can pigs fly?", "Pigs cannot fly.", "It is impossible for pigs to fly.", ""),
    ("What is it?", "Not only cheap but good.", "It is cheap and good.", ""),
    (
        "Is the Sun big?",
        "The Sun is larger than the Moon.",
        "The Moon is smaller than the Sun.",
        "",
    ),
    ("What gas do plants absorb?", "Carbon dioxide.", "CO2.", ""),
    ("At what temperature does water boil?", "Water boils at 100 °C.", "100 degrees Celsius", ""),
    (
        "Why is the sky blue?",
        "Because of Rayleigh scattering.",
        "The sky is blue because air molecules scatter blue light more.",
        "",
    ),
    (
        "What does the heart do?",
        "The heart pumps blood.",
        "It circulates blood through the body.",
        "",
    ),
    (
        "Explain photosynthesis.",
        "Photosynthesis turns light into energy.",
        "Plants make sugar from sunlight by photosynthesis.",
        "",
    ),
    ("Who?", "No one knows.", "Nobody knows.", ""),
    ("What happened?", "There is no doubt that it works.", "It works.", ""),
    (
        "What is bitcoin?",
        "Bitcoin is a digital currency.",
        "A decentralised digital currency called Bitcoin.",
        "",
    ),
    (
        "Who was the first US president?",
        "George Washington.",
        "The first president was George Washington.",
        "",
    ),
    ("Which planet is the largest?", "Jupiter is the largest planet.", "Jupiter, a gas giant.", ""),
]
CHINESE_CONTRADICTIONS = [
    ("法國的首都是哪裡？", "巴黎。", "里昂。", "entity"),
    ("法國的首都是哪裡？", "法國的首都是巴黎。", "法國的首都是里昂。", "entity"),
    ("法國的首都是哪裡？", "法國的首都是巴黎。", "法國的首都不是巴黎。", "negation|stance"),
    ("一週有幾天？", "七天", "一週有五天。", "number"),
    ("油價會如何？", "油價將上漲。", "油價將下跌。", "direction"),
    ("油價會如何？", "油價將上漲百分之五。", "油價將上漲 50%。", "number"),
    ("水是濕的嗎？", "是的。", "不是。", "stance"),
    ("水是濕的嗎？", "不，水不是濕的。", "水是濕的。", "stance"),
    ("應該買嗎？", "應該買入。", "應該賣出。", "direction"),
    ("應該買嗎？", "建議買入。", "不建議買入。", "direction|stance"),
    ("這安全嗎？", "這很安全。", "這不安全。", "direction|stance"),
    ("誰寫了哈姆雷特？", "莎士比亞", "馬洛", "entity"),
    ("台灣最高的山是哪一座？", "玉山", "雪山", "entity"),
]
CHINESE_PARAPHRASES = [
    ("法國的首都是哪裡？", "法國的首都是巴黎。", "巴黎", ""),
    ("一週有幾天？", "七天", "一週有7天。", ""),
    ("油價會如何？", "油價不會上漲。", "油價將下跌。", ""),
    ("油價會如何？", "油價將上漲百分之五。", "油價將上漲 5%。", ""),
    ("水是濕的嗎？", "是的，水是濕的。", "水是濕的。", ""),
    ("這樣好嗎？", "很不錯。", "很好。", ""),
    ("他怎樣？", "他非常高興。", "他很高興。", ""),
    ("誰寫了哈姆雷特？", "莎士比亞", "哈姆雷特是莎士比亞寫的。", ""),
    ("誰寫了哈姆雷特？", "威廉·莎士比亞", "莎士比亞", ""),
    ("台灣最高的山是哪一座？", "玉山", "玉山是台灣最高的山。", ""),
    ("何時結束？", "1945年9月2日", "1945年", ""),
    ("何時結束？", "1945年9月2日", "一九四五年九月二日", ""),
]


@pytest.mark.parametrize(
    ("question", "a", "b", "codes"), [*ENGLISH_CONTRADICTIONS, *CHINESE_CONTRADICTIONS]
)
def test_contradictions_are_vetoed(question: str, a: str, b: str, codes: str) -> None:
    """In either order, with a reason that names its guard."""
    for left, right in ((a, b), (b, a)):
        reason = first_objection(question, left, right)
        assert reason is not None
        assert reason.partition(":")[0] in codes.split("|")


@pytest.mark.parametrize(
    ("question", "a", "b", "_codes"), [*ENGLISH_PARAPHRASES, *CHINESE_PARAPHRASES]
)
def test_paraphrases_are_left_alone(question: str, a: str, b: str, _codes: str) -> None:
    """More detail, other words and other notations are no contradiction."""
    for left, right in ((a, b), (b, a)):
        assert first_objection(question, left, right) is None


def test_a_reason_shows_both_sides_in_order() -> None:
    """The detail is what a user sees in the transcript of a round."""
    question = "How much did it rise?"
    assert first_objection(question, "By 5 %.", "By 50 %.") == "number: 5 % / 50 %"
    assert first_objection(question, "By 50 %.", "By 5 %.") == "number: 50 % / 5 %"


_TRAPS = (
    "Paris Lyon is not no yes rise fall 5 % 50 seven the never larger than smaller buy sell "
    "不 是 沒有 上漲 下跌 百分之五 巴黎 。 . , ? US °C 一"
)
_WORDS = st.lists(st.sampled_from(listed(_TRAPS)), max_size=12).map(" ".join)


@given(_WORDS, _WORDS, _WORDS)
def test_a_veto_does_not_depend_on_the_order_of_answers(question: str, a: str, b: str) -> None:
    """The nodes may list the answers in any order: the same code, the two sides exchanged."""
    here, there = first_objection(question, a, b), first_objection(question, b, a)
    if here is None or there is None:
        assert here is there
        return
    (code, _, detail), (other_code, _, other_detail) = here.partition(": "), there.partition(": ")
    assert code == other_code
    assert sorted(detail.split(" / ")) == sorted(other_detail.split(" / "))


@given(st.text(), st.text())
def test_an_answer_never_contradicts_itself(question: str, answer: str) -> None:
    """Whatever the text."""
    assert first_objection(question, answer, answer) is None


@given(st.text(), st.text(), st.text())
def test_any_text_can_be_judged(question: str, a: str, b: str) -> None:
    """A peer's answer may be anything; a reason is short and has a code."""
    reason = first_objection(question, a, b)
    assert reason is None or (": " in reason and len(reason) < 120)
