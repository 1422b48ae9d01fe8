"""Messages as JSON for people: objects with field names, byte strings in hexadecimal. A value that
may be of several kinds is an object with its kind as the only name.

Made from the same annotations as the binary encoding (`pbft.codec`), so that there is one
description of every message. What is read back goes through the codec's checks.
"""

from typing import Any, TypeVar, get_origin

from pbft.codec import from_plain
from pbft.errors import Malformed
from pbft.schema import (
    alternative_name,
    alternatives,
    element_type,
    field_types,
    is_enumeration,
    optional_type,
    unwrap,
)

T = TypeVar("T")


def to_json(value: Any, annotation: Any = None) -> Any:
    """Dicts, lists, strings and integers for a value made of wire types."""
    declared: Any = annotation or type(value)
    bare, _ = unwrap(declared)
    if value is None:
        return None
    if bare is bytes:
        return value.hex()
    if is_enumeration(bare):
        return str(value)
    if inner := element_type(bare):
        return [to_json(element, inner) for element in value]
    if inner := optional_type(bare):
        return to_json(value, inner)
    for option in alternatives(bare):
        if type(value) is (get_origin(option) or option):
            return {alternative_name(option): to_json(value, option)}
    if (hints := field_types(bare)) is not None:
        return {name: to_json(getattr(value, name), hint) for name, hint in hints}
    return value


def from_json(document: Any, annotation: type[T]) -> T:
    """Inverse of `to_json`; raises `Malformed` with the place and the fault."""
    return from_plain(_plain(document, annotation, "document"), annotation)


def _plain(document: Any, annotation: Any, path: str) -> Any:
    bare, _ = unwrap(annotation)
    if bare is bytes:
        return _bytes(document, path)
    if inner := element_type(bare):
        if not isinstance(document, list):
            raise Malformed(f"{path} is not a list")
        return [_plain(element, inner, path) for element in document]
    if inner := optional_type(bare):
        return None if document is None else _plain(document, inner, path)
    if options := alternatives(bare):
        return _alternative(document, options, path)
    if (hints := field_types(bare)) is not None:
        names = [name for name, _ in hints]
        if not isinstance(document, dict) or list(document) != names:
            raise Malformed(f"{path} does not have exactly the fields {', '.join(names)}")
        return [_plain(document[name], hint, name) for name, hint in hints]
    return document


def _alternative(document: Any, options: tuple[Any, ...], path: str) -> Any:
    if isinstance(document, dict) and len(document) == 1:
        ((given, inner),) = document.items()
        for number, option in enumerate(options):
            if alternative_name(option) == given:
                return [number, _plain(inner, option, given)]
    names = ", ".join(map(alternative_name, options))
    raise Malformed(f"{path} is not an object with one name out of {names}")


def _bytes(document: Any, path: str) -> bytes:
    try:
        return bytes.fromhex(document)
    except (TypeError, ValueError):
        raise Malformed(f"{path} is not hexadecimal") from None
