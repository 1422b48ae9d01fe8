"""A form is demanded where a question asks for it, not where it asks about it."""

import pytest

from inference.formats import form_asked
from inference.validator import validate

REQUESTS = {
    "JSON": (
        "Return the price as a JSON object.",
        "Answer in JSON.",
        "Please reply with valid JSON only.",
        "What is the capital of France? Respond in JSON format.",
        "Could you return JSON with a name?",
        "What is the capital of France, as JSON?",
        "Give me a JSON object with two keys.",
        "List the three largest cities as JSON.",
        "Output format: JSON",
        "Count to three and return the result as JSON.",
        "Use JSON.",
        "Format your response as a JSON object with the fields x and y.",
        "I need the answer in JSON.",
        "The output should be valid JSON. Who won?",
        "請用 JSON 格式回答：法國的首都是哪裡？",
        "法國的首都是哪裡？請以JSON輸出。",
        "列出三個城市，JSON 格式。",
        "可以用 JSON 回答嗎？",
        "请返回一个合法的 JSON。",
    ),
    "list": (
        "Give me the colours as a list.",
        "Make a list of the planets.",
        "Write a numbered list of steps.",
        "Which are the planets, as a list?",
        "請列出三個行星。",
        "请用清单列出三个行星",
        "條列說明它的優點。",
        "整理一份購物清單。",
    ),
    "word": (
        "Name it in one word.",
        "What is the capital of France, in one word?",
        "In one word: is it safe?",
        "Answer with a single word.",
        "Is it up or down? One word only.",
        "What do you call it in one word?",
        "Give one word.",
        "In one word, is it good?",
        "One-word answer: what colour is grass?",
        "一個詞：天空是什麼顏色？",
        "用一個詞形容她。",
        "請用一個單詞回答：這是什麼？",
        "這是什麼？只用一個詞就好。",
    ),
}
ABOUT = (
    "What is a JSON object?",
    "How do I parse a JSON in Python?",
    "What does valid JSON look like?",
    "Which characters must be escaped in JSON?",
    "Is a trailing comma allowed in JSON?",
    "How do I return JSON from an API?",
    "Why do servers output JSON?",
    "Why must the response be JSON?",
    "Is a one-word answer rude?",
    "Explain the JSON format.",
    "Is it a JSON parser or a JSON schema?",
    "Write a JSON parser in C.",
    "JSON?",
    "什麼是 JSON 格式？",
    "JSON 格式有哪些優點？",
    "如何用 JSON 格式表示日期？",
    "為什麼要用 JSON 格式回傳資料？",
    "How do I make a list in Python?",
    "What is a bulleted list?",
    "Write a list comprehension.",
    "Is a tuple as fast as a list?",
    "如何列出資料夾裡的檔案？",
    "待辦清單是什麼？",
    "黑名單和清單有什麼不同？",
    "Is 'cannot' one word or two?",
    "How many letters can one word have?",
    "Can 'all right' be spelled in one word?",
    "Which one word do the two languages share?",
    "這個單詞是什麼意思？",
    "一個詞可以有幾個意思？",
    "單詞和詞彙有什麼不同？",
)


@pytest.mark.parametrize(("form", "question"), [(f, q) for f, qs in REQUESTS.items() for q in qs])
def test_a_request_is_understood(form: str, question: str) -> None:
    """By an order, or by the form alone at the end."""
    assert form_asked(question) == form


@pytest.mark.parametrize("question", ABOUT)
def test_a_question_about_a_form_demands_none(question: str) -> None:
    """A right answer to it is in plain words."""
    assert form_asked(question) is None


def test_an_explanation_of_json_need_not_be_json() -> None:
    """The flaw is fatal, so it must not be found in what nobody asked for."""
    answer = "A JSON object is a set of names and values in braces."
    assert validate("What is a JSON object?", answer).valid


def test_the_longest_questions_are_looked_through() -> None:
    """That it does not take minutes shows in the time that the tests take as a whole."""
    for unit in (
        "please ",
        "please answer ",
        "json ",
        "list of ",
        "one word ",
        "請列",
        ", in json ",
    ):
        form_asked(f"json list word 詞 {unit * (16_000 // len(unit.encode()))}")
