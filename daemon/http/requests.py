"""From the bytes of an HTTP request to checked values, with an error sentence for each fault."""

import json
from typing import Any

from daemon.files import unique_keys
from daemon.queries import TOKENS_DEFAULT, Query
from daemon.queryerror import QueryError
from daemon.typed import BadFields, parse_fields
from pbft.types import PROMPT_BYTES_MAX, RequestId

BODY_BYTES_MAX = 128 * 1024
"""A question of the greatest length fits, even with every byte escaped."""

_FIELDS = (
    "question",
    "mode",
    "language",
    "max_tokens",
    "timeout_s",
    "kind",
    "labels",
    "unit",
    "fields",
)
_MODES = ("consensus", "single")
_LANGUAGES = ("en", "zh-TW")
_TIMEOUT_S_MAX = 600
_TOKENS_MAX = 32_768


def bad(message: str) -> QueryError:
    return QueryError(400, "bad_request", message)


def parse_query(body: bytes) -> Query:
    """The query in a request's body; raises `QueryError`."""
    document = parse_object(body)
    if unknown := [name for name in document if name not in _FIELDS]:
        raise bad(f"The field {unknown[0][:64]!r} is unknown; the fields are {', '.join(_FIELDS)}.")
    mode = document.get("mode", "consensus")
    if mode not in _MODES:
        raise bad('The field "mode" must be "consensus" or "single".')
    language = document.get("language")
    if language is not None and language not in _LANGUAGES:
        raise bad('The field "language" must be "en", "zh-TW" or null (the question\'s own).')
    question = _question(document.get("question"))
    try:
        kind, fields = parse_fields(
            document.get("kind", "text"), *map(document.get, ("labels", "unit", "fields"))
        )
    except BadFields as error:
        raise bad(str(error)) from None
    return Query(
        question=question,
        mode=mode,
        language=language,
        max_tokens=_max_tokens(document.get("max_tokens", TOKENS_DEFAULT)),
        timeout_s=_timeout_s(document.get("timeout_s")),
        kind=kind,
        fields=fields,
    )


def parse_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=unique_keys, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise bad('The body is not valid JSON; send {"question": "…"}.') from None
    if not isinstance(document, dict):
        raise bad('The body is not a JSON object; send {"question": "…"}.')
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _question(value: Any) -> str:
    if not isinstance(value, str):
        raise bad('The field "question" must be text.')
    if not value.strip():
        raise bad("The question is empty.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise bad("The question is not valid Unicode.") from None
    if size > PROMPT_BYTES_MAX:
        raise QueryError(
            413,
            "question_too_long",
            f"The question has {size} bytes; at most {PROMPT_BYTES_MAX} are taken.",
        )
    return value


def _max_tokens(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= _TOKENS_MAX:
        raise bad(f'The field "max_tokens" must be a whole number from 1 to {_TOKENS_MAX}.')
    return value


def _timeout_s(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0.1 <= value <= _TIMEOUT_S_MAX:
        raise bad(f'The field "timeout_s" must be a number from 0.1 to {_TIMEOUT_S_MAX}.')
    return float(value)


def parse_request_id(text: str) -> RequestId:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32 or value.hex() != text:
        raise bad("A request id is 64 hexadecimal digits.")
    return RequestId(value)
