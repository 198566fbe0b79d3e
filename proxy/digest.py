"""The digest of a statement: what it is, without what the client put into it. For people: /state, /pins, `fanin explain`.

Literals become ``?``: strings, numbers, hexadecimal, bit and national ones, with their introducers and signs. So do names in double
quotes, which only ANSI_QUOTES tells from strings. ``IN`` lists become ``IN (?)``, equal rows of VALUES one row; comments go, white space
is one space. Words and names in backticks stay as written. Where a password may follow (IDENTIFIED .., PASSWORD = ..) the rest goes.
At most :data:`LONGEST` characters; what is cut is told by ``...`` at the end.

No literal may remain, so nothing depends on what is believed of the session. Text with backslashes is read in each way that an sql_mode
can ask for, and what all readings have in common is the digest. It ends where the reading is in doubt: at a string, name or comment
without an end, at ``/*! .. */`` that ends elsewhere when it is not executed, at dollar-quoted strings, and, unless the text is surely
UTF-8, where the second byte of a character could be a backslash or a backtick (gbk, big5, sjis ..).

The digest of a digest is itself.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Final

from proxy.lexer import (
    ANSI_QUOTES,
    NAME,
    NO_BACKSLASH_ESCAPES,
    NUMBER,
    STRING,
    SYMBOL,
    VARIABLE,
    WORD,
    Token,
    survey,
    tokenize,
)

LONGEST: Final = 200
"""Characters of a digest."""
READ: Final = 8192
"""Bytes of a statement that are read for its digest."""
CUT: Final = "..."
"""Stands for what is left out."""

_VALUE: Final = b"?"
_READINGS: Final = (0, ANSI_QUOTES, NO_BACKSLASH_ESCAPES)
_CONDITIONAL: Final = re.compile(rb"/\*M?!")
_DOUBTFUL_PAIR: Final = re.compile(rb"[\x80-\xff][\\`]")
_ACCOUNT: Final = re.compile(rb"[?`A-Za-z_\x80-\xff]")
_OPERATORS: Final = frozenset([b"<=", b">=", b"<>", b"!=", b"<=>", b"||", b"&&", b"->", b"->>", b"<<", b">>"])
_QUOTES: Final = (b"'", b'"', b"`")
# what follows the @ of a name that may be anything
_UNNAMED: Final = frozenset([b"'", b'"', b"`", b".", *(b"%d" % digit for digit in range(10))])
_SIGNS: Final = frozenset([b"+", b"-"])
_BEFORE_SIGN: Final = frozenset(
    [b"(", b",", b"=", b":=", b"<", b">", b"+", b"-", b"*", b"/", b"%", *_OPERATORS]
)
_PREFIXES: Final = frozenset([b"n", b"x", b"b"])
_VALUES: Final = frozenset([_VALUE, b",", b"null", b"true", b"false", b"default"])
_SPACED: Final = frozenset(
    b"""
    all and any as between by case distinct do else except exists from having in insert intersect into join key like limit not
    on or over return returns select set some then union update using value values when where with
    """.split()
)
"""Words after which a parenthesis is not that of a call."""


def digest(text: bytes, is_unsafe_charset: bool = False) -> str:
    """The digest of one COM_QUERY's text. `is_unsafe_charset`: its client's character set may be one of gbk, big5, sjis ..."""
    text, is_cut = _certain(text, is_unsafe_charset)
    lexings = _READINGS if b"\\" in text else _READINGS[:1]
    readings = [_Reading(text, lexing) for lexing in lexings]
    first = readings[0]
    pieces = first.pieces
    if any(reading.pieces != pieces for reading in readings):
        columns = zip(*(reading.pieces for reading in readings), strict=False)
        pieces = [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]
        is_cut = True
    is_cut = is_cut or first.is_cut
    pieces = _collapsed(pieces)
    while pieces and pieces[-1] == b";" and not is_cut:
        pieces.pop()
    return _written([_shown(piece) for piece in pieces], is_cut)


def _certain(text: bytes, is_unsafe_charset: bool) -> tuple[bytes, bool]:
    """The beginning of the text that can be read without doubt about characters and comments, and whether that is not all."""
    size = len(text)
    text = text[:READ]
    if is_unsafe_charset or not _is_utf8(text, size > READ):
        pair = _DOUBTFUL_PAIR.search(text)
        if pair is not None:
            text = text[: pair.start()]
    comment = _CONDITIONAL.search(text)
    # what a comment between "*/" and "*/" is depends on which of them is read first
    if comment is not None and (
        b"*/*" in text or any(survey(text, lexing).is_ambiguous for lexing in _READINGS)
    ):
        text = text[: comment.start()]
    return text, len(text) < size


def _is_utf8(text: bytes, is_cut: bool) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        # a character that was cut in two
        return is_cut and error.start > len(text) - 4 and error.reason == "unexpected end of data"
    return True


class _Reading:
    """The tokens of a text under one sql_mode, normalised."""

    def __init__(self, text: bytes, lexing: int) -> None:
        self.pieces: list[bytes] = []
        self.is_cut = False
        previous = Token(0, b"", 0, -1)
        is_conditional = _CONDITIONAL.search(text) is not None
        for token in tokenize(text, 0, len(text), lexing, is_conditional):
            is_glued = token.start == previous.end
            if self._ends_before(token, previous, is_glued):
                self.is_cut = True
                break
            self._add(token, previous, is_glued)
            previous = token
            if token.word == b"identified":
                self.is_cut = True
                break

    def _ends_before(self, token: Token, previous: Token, is_glued: bool) -> bool:
        """Whether what comes now must not be read."""
        pieces = self.pieces
        if previous.word.endswith(b"password") and (
            token.text in (b"=", b":=", b"(") or token.word == b"for" or token.text[:1] in (b"'", b'"')
        ):
            return True
        if token.kind == WORD:
            return token.text[:1] == b"$"
        if token.kind != SYMBOL:
            return False
        if token.text == b"." and pieces[-2:] == [b".", b"."]:
            del pieces[-2:]
            return True
        if token.text == b"*" and is_glued and previous.text == b"/":
            pieces.pop()
            return True
        return token.text in _QUOTES

    def _add(self, token: Token, previous: Token, is_glued: bool) -> None:
        pieces, text = self.pieces, token.text
        last = pieces[-1] if pieces else b""
        if token.kind == VARIABLE:
            name = b"@?" if text[1:2] in _UNNAMED else text
            if is_glued and b"@" not in last and _ACCOUNT.match(last) is not None:
                # an account: name@host
                pieces[-1] = last + name
            else:
                pieces.append(name)
        elif text == _VALUE and is_glued and last[-1:] == b"@":
            pieces[-1] = last + text
        elif _is_value(token):
            self._add_value(token, is_glued)
        elif token.kind == WORD and is_glued and previous.kind == NUMBER:
            # the exponent of .5e3
            pass
        elif token.kind == SYMBOL and is_glued and last + text in _OPERATORS:
            pieces[-1] = last + text
        elif text != b"\x7f":
            pieces.append(text)

    def _add_value(self, token: Token, is_glued: bool) -> None:
        pieces = self.pieces
        if token.kind == STRING and is_glued and pieces and pieces[-1].lower() in _PREFIXES:
            pieces.pop()
        while pieces:
            if pieces[-1] in _SIGNS and (len(pieces) == 1 or pieces[-2] in _BEFORE_SIGN):
                pieces.pop()
            elif pieces[-1][:1] == b"_":
                # the introducer of a character set
                pieces.pop()
            else:
                break
        if not pieces or pieces[-1] != _VALUE:
            pieces.append(_VALUE)


def _is_value(token: Token) -> bool:
    kind, text = token.kind, token.text
    return (
        kind == STRING
        or kind == NUMBER
        or (kind == NAME and text[:1] == b'"')
        or (kind == WORD and text[:1].isdigit())
        or text == _VALUE
    )


def _collapsed(pieces: list[bytes]) -> list[bytes]:
    """With IN lists of values, and rows that follow an equal one, made one."""
    out: list[bytes] = []
    open_groups: list[int] = []
    closed_groups: dict[int, int] = {}  # where they end -> where they begin
    for piece in pieces:
        if piece == b"(":
            open_groups.append(len(out))
        out.append(piece)
        if piece == b")" and open_groups:
            begin = open_groups.pop()
            if _is_list(out, begin, len(out) - 1):
                out[begin + 1 : -1] = [_VALUE]
            earlier = closed_groups.get(begin - 2)
            if earlier is not None and out[begin - 1] == b"," and out[earlier : begin - 1] == out[begin:]:
                del out[begin - 1 :]
            else:
                closed_groups[len(out) - 1] = begin
    if open_groups and _is_list(out, open_groups[-1], len(out)):
        out[open_groups[-1] + 1 :] = [_VALUE]
    return out


def _is_list(pieces: list[bytes], begin: int, end: int) -> bool:
    """Whether IN stands before the parenthesis at `begin`, and nothing but values between it and `end`."""
    if begin == 0 or pieces[begin - 1].lower() != b"in" or end <= begin + 1:
        return False
    return all(piece.lower() in _VALUES for piece in pieces[begin + 1 : end])


def _shown(piece: bytes) -> str:
    """A piece as text that no terminal takes for a command."""
    text = piece.decode("utf-8", "replace")
    return (
        text if text.isprintable() else "".join([each if each.isprintable() else "\ufffd" for each in text])
    )


def _written(pieces: list[str], is_cut: bool) -> str:
    parts: list[str] = []
    size = fitting = 0
    last = ""
    for piece in pieces:
        part = piece if not last or _is_close(last, piece) else " " + piece
        size += len(part)
        parts.append(part)
        if size <= LONGEST - len(CUT) - 1:
            fitting = len(parts)
        last = piece
    if not is_cut and size <= LONGEST:
        return "".join(parts)
    return ("".join(parts[:fitting]).rstrip(". ") + " " + CUT).strip()


def _is_close(last: str, piece: str) -> bool:
    """Whether no space stands between the two."""
    if piece in (",", ")", ";", ".") or last in ("(", "."):
        return piece != "." or last[-1] != "@"
    is_name = last[0] == "`" or last[0] == "_" or last[0].isalpha()
    return piece == "(" and is_name and last.lower().encode() not in _SPACED
