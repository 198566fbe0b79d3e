"""The line of every key of a TOML file.

tomllib gives values without places. This scanner walks a text that tomllib has accepted, and only notes where each
key, each table and each element of a list begins; it converts nothing. A path is the tuple of keys and list indexes
that leads to the value: ("upstream", 1, "port").

Page "TOML v1.0.0": keys are bare, "basic" or 'literal' and may be dotted; a value ends at the end of its line, except
that strings in triple quotes, arrays and (since 1.1) inline tables go over several.
"""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART: Final = re.compile(r"[ \t]*(?:\"((?:\\.|[^\"\\])*)\"|'([^']*)'|([^\s.=\]\[{},#\"']+))[ \t]*")
_SCALAR: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|[^\s,\]}#][^\n,\]}#]*",
    re.DOTALL,
)


def key_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each key, table and element of a TOML text; of what is repeated, the first.

    Texts that are no TOML give an incomplete answer and no error.
    """
    return _Scanner(text).scan()


class _Scanner:
    """One walk over one text; `pos` only grows."""

    __slots__ = ("lines", "pos", "tables", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  # of each `[[table]]`, the index of its latest element

    def scan(self) -> dict[Path, int]:
        prefix: Path = ()
        while self._skip_blank():
            if self.text[self.pos] == "[":
                prefix = self._header()
            elif not self._pair(prefix):
                break
        return self.lines

    def _skip_blank(self) -> bool:
        """Go past blanks, line ends and comments. Is there anything left?"""
        match = _BLANK.match(self.text, self.pos)
        self.pos = match.end() if match is not None else self.pos
        return self.pos < len(self.text)

    def _note(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n", 0, self.pos) + 1)

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.pos)
        start = self.pos
        self.pos += 2 if is_array else 1
        keys = self._key()
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            self._note_at(path, start)
            path = self._inside(path)
        path += tuple(keys[-1:])
        if is_array:
            self.tables[path] = self.tables.get(path, -1) + 1
            self._note_at(path, start)
        path = self._inside(path)
        self._note_at(path, start)
        self.pos = self._end_of_line()
        return path

    def _inside(self, path: Path) -> Path:
        """The path of the table itself: for a list of tables its latest element."""
        return (*path, self.tables[path]) if path in self.tables else path

    def _note_at(self, path: Path, pos: int) -> None:
        after, self.pos = self.pos, pos
        self._note(path)
        self.pos = after

    def _end_of_line(self) -> int:
        end = self.text.find("\n", self.pos)
        return len(self.text) if end < 0 else end

    def _key(self) -> list[str]:
        """A key's parts, from here to the "=" or "]" that ends it."""
        parts: list[str] = []
        while (match := _KEY_PART.match(self.text, self.pos)) is not None:
            parts.append(next(group for group in match.groups() if group is not None))
            self.pos = match.end()
            if not self.text.startswith(".", self.pos):
                break
            self.pos += 1
        return parts

    def _pair(self, prefix: Path) -> bool:
        """`key = value`; False if there is none."""
        start = self.pos
        path = prefix
        for key in self._key():
            path = (*path, key)
            self._note_at(path, start)
        if not self.text.startswith("=", self.pos):
            return False
        self.pos += 1
        return self._value(path)

    def _value(self, path: Path) -> bool:
        """A value, with everything in it; False if there is none."""
        if not self._skip_blank():
            return False
        if self.text[self.pos] == "[":
            return self._elements(path)
        if self.text[self.pos] == "{":
            return self._inline_table(path)
        match = _SCALAR.match(self.text, self.pos)
        if match is None:
            return False
        self.pos = match.end()
        return True

    def _elements(self, path: Path) -> bool:
        self.pos += 1
        index = 0
        while self._skip_blank() and self.text[self.pos] != "]":
            self._note((*path, index))
            if not self._value((*path, index)):
                return False
            index += 1
            self._skip_comma()
        self.pos += 1
        return True

    def _inline_table(self, path: Path) -> bool:
        self.pos += 1
        while self._skip_blank() and self.text[self.pos] != "}":
            if not self._pair(path):
                return False
            self._skip_comma()
        self.pos += 1
        return True

    def _skip_comma(self) -> None:
        self._skip_blank()
        if self.text.startswith(",", self.pos):
            self.pos += 1
