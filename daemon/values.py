"""Values of typed answers, drawn on the terminal."""

from typing import Any

from rich.table import Table
from rich.text import Text

from daemon.labels import label

_STYLES = {
    "agreed": "bold green",
    "agreed_low_confidence": "bold yellow",
    "no_agreement": "bold red",
}


def headline(values: dict[str, Any]) -> Text:
    """The agreed values, each on a line; the only one without its name."""
    text = Text()
    for name, field in values.items():
        heading = name if len(values) > 1 else label("Answer")
        text.append(f"{heading}: ", style="bold")
        shown = with_unit(field["value"], field["unit"]) or label("not agreed")
        text.append(f"{shown}\n", style=_STYLES[field["status"]])
    return text


def table(values: dict[str, Any]) -> Table:
    """How each field was decided, and whose value did not count."""
    drawn = Table(title=label("Agreed values"), title_justify="left")
    drawn.add_column(label("Field"), no_wrap=True)
    drawn.add_column(label("Value"), overflow="fold")
    for heading in ("quartiles", "agreement", "confidence"):
        drawn.add_column(label(heading), justify="right")
    drawn.add_column(label("excluded"), overflow="fold")
    for name, field in values.items():
        value = Text(with_unit(field["value"], field["unit"]))
        if field["value"] is None:
            value = Text(label("not agreed"), style="red")
            if field["leading"] is not None:
                leading = with_unit(field["leading"], field["unit"])
                value.append(f" ({label('leading')}: {leading})", style="dim")
        drawn.add_row(
            name,
            value,
            "–".join(field["quartiles"] or ()),
            f"{field['agreement_rate']:.0%}",
            f"{field['confidence']:.2f}",
            ", ".join(f"{out['name']} ({label(out['reason'])})" for out in field["excluded"]),
        )
    return drawn


def units(values: dict[str, Any]) -> dict[str, str | None]:
    """The unit of each field."""
    return {name: field["unit"] for name, field in values.items()}


def said(values: dict[str, str | None], units: dict[str, str | None]) -> str:
    """One member's values; the only one without its name."""
    shown = {name: with_unit(value, units.get(name)) or "–" for name, value in values.items()}
    if len(shown) < 2:
        return "".join(shown.values())
    return ", ".join(f"{name}: {value}" for name, value in shown.items())


def with_unit(value: str | None, unit: str | None) -> str:
    """The value as it is read; empty for none."""
    return f"{value} {unit}" if value and unit else value or ""
