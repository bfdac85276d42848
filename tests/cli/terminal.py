"""A terminal as far as the bars use one: what stands on it in the end, line by line."""

from __future__ import annotations

import re

_PIECE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


def lines_left(written: str) -> list[str]:
    """The lines up to the last one that is not empty; a screen without an end, which never scrolls.

    Raises ValueError for what is not understood.
    """
    lines = [""]
    row = column = place = 0
    while place < len(written):
        found = _PIECE.match(written, place)
        if found is None:
            raise ValueError(f"not understood: {written[place : place + 20]!r}")
        place = found.end()
        private, numbers, control, moved, text = found.groups()
        if text is not None:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif moved == "\r":
            column = 0
        elif moved == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control == "A":
            row -= int(numbers or 1)
            if row < 0:
                raise ValueError("above the first line")
        elif (control, numbers) == ("K", "2"):
            lines[row] = ""
        elif control != "m" and not private:
            raise ValueError(f"not understood: {found[0]!r}")
    while lines and not lines[-1]:
        lines.pop()
    return lines
