"""Strict CBOR for the few things that this package itself says.

Only four kinds exist on the wire: unsigned integers below 2**64, byte strings, text strings and
definite arrays, each in its shortest form. Written by hand because refusing is the whole work:
a general decoder has to be talked out of tags, maps, indefinite lengths and long forms one by
one, while this one never learns them. What decodes here has exactly one encoding.
"""

import cbor2

from p2p.errors import BadMessage

_UINT, _BYTES, _TEXT, _ARRAY = 0, 2, 3, 4

Item = int | bytes | str | list["Item"]

DEPTH_MAX = 4
ITEMS_MAX = 1024
_LONG_FORMS = {24: 1, 25: 2, 26: 4, 27: 8}
_SMALLEST_OF_FORM = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}


def encode(item: Item) -> bytes:
    """Return the one encoding of `item`."""
    return cbor2.dumps(item, canonical=True)


def decode(data: bytes) -> Item:
    """Return the item that `data` is the encoding of; raise `BadMessage` for anything else."""
    item, end = _decode_item(data, 0, DEPTH_MAX)
    if end != len(data):
        raise BadMessage("bytes are left over after the message")
    return item


def decode_array(data: bytes, length: int) -> list[Item]:
    """Return the items of an array that must have exactly `length` of them."""
    item = decode(data)
    if not isinstance(item, list) or len(item) != length:
        raise BadMessage(f"expected an array of {length}")
    return item


def as_uint(item: Item, maximum: int) -> int:
    """Return `item` if it is an integer from 0 to `maximum`."""
    if not isinstance(item, int) or item > maximum:
        raise BadMessage(f"expected an integer up to {maximum}")
    return item


def as_bytes(item: Item, minimum: int, maximum: int) -> bytes:
    """Return `item` if it is a byte string of `minimum` to `maximum` bytes."""
    if not isinstance(item, bytes) or not minimum <= len(item) <= maximum:
        raise BadMessage(f"expected a byte string of {minimum} to {maximum} bytes")
    return item


def as_text(item: Item, maximum: int) -> str:
    """Return `item` if it is text of at most `maximum` characters."""
    if not isinstance(item, str) or len(item) > maximum:
        raise BadMessage(f"expected text of at most {maximum} characters")
    return item


def as_array(item: Item, maximum: int) -> list[Item]:
    """Return `item` if it is an array of at most `maximum` items."""
    if not isinstance(item, list) or len(item) > maximum:
        raise BadMessage(f"expected an array of at most {maximum}")
    return item


def _decode_item(data: bytes, start: int, depth_left: int) -> tuple[Item, int]:
    major, value, position = _decode_head(data, start)
    if major == _UINT:
        return value, position
    if major in (_BYTES, _TEXT):
        end = position + value
        if end > len(data):
            raise BadMessage("a string is longer than the message")
        return _string(major, data[position:end]), end
    if major != _ARRAY:
        raise BadMessage(f"major type {major} does not belong on this wire")
    if value > ITEMS_MAX or depth_left == 0:
        raise BadMessage("an array is too long or too deep")
    items: list[Item] = []
    for _ in range(value):
        item, position = _decode_item(data, position, depth_left - 1)
        items.append(item)
    return items, position


def _decode_head(data: bytes, start: int) -> tuple[int, int, int]:
    if start >= len(data):
        raise BadMessage("the message ends early")
    major, short = data[start] >> 5, data[start] & 0x1F
    if short < 24:
        return major, short, start + 1
    if short not in _LONG_FORMS:
        raise BadMessage("an indefinite or reserved length")
    end = start + 1 + _LONG_FORMS[short]
    if end > len(data):
        raise BadMessage("the message ends early")
    value = int.from_bytes(data[start + 1 : end])
    if value < _SMALLEST_OF_FORM[short]:
        raise BadMessage("a length or number is not in its shortest form")
    return major, value, end


def _string(major: int, raw: bytes) -> bytes | str:
    if major == _BYTES:
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadMessage("text is not UTF-8") from None
