from __future__ import annotations

import tomllib

import pytest

from config.keylines import Path, key_lines


def paths_of(value: object, path: Path = ()) -> set[Path]:
    """Every path in a parsed file, the root excepted."""
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths_of(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths_of(inner, (*path, index))
    return found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("a = 1\nb = 2", {("a",): 1, ("b",): 2}),
        ("\n\n a = 1 # b = 2\r\nc = '#'\r\n", {("a",): 3, ("c",): 4}),
        ("[pool]\n\nsize = 4\n", {("pool",): 1, ("pool", "size"): 3}),
        ("[a.b]\nc = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 2}),
        ("pool.size = 4", {("pool",): 1, ("pool", "size"): 1}),
        ("\"a b\" . 'c.d' = 4", {("a b",): 1, ("a b", "c.d"): 1}),
        (
            "[[u]]\nname = 1\n\n[[u]]\n\nname = 2\n",
            {("u",): 1, ("u", 0): 1, ("u", 0, "name"): 2, ("u", 1): 4, ("u", 1, "name"): 6},
        ),
        (
            "[[u]]\n[u.x]\ny = 1\n[[u]]\n[u.x]\ny = 2",
            {
                ("u",): 1,
                ("u", 0): 1,
                ("u", 0, "x"): 2,
                ("u", 0, "x", "y"): 3,
                ("u", 1): 4,
                ("u", 1, "x"): 5,
                ("u", 1, "x", "y"): 6,
            },
        ),
        (
            'a = [\n  "x", # one\n  [2,\n3],\n]\nb = 1',
            {("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, 0): 3, ("a", 1, 1): 4, ("b",): 6},
        ),
        (
            'u = [\n  {host = "x]", port = 1},\n  {}\n]\n',
            {("u",): 1, ("u", 0): 2, ("u", 0, "host"): 2, ("u", 0, "port"): 2, ("u", 1): 3},
        ),
        ('a = """x\nb = 1\n"quoted" \\""""" \nc = 1', {("a",): 1, ("c",): 4}),
        ("a = '''\nb = 1\n'''''\nc = 1", {("a",): 1, ("c",): 4}),
        ('a = "\\"" # "\nb = 1', {("a",): 1, ("b",): 2}),
        ("a = 1979-05-27 07:32:00\nb = -inf", {("a",): 1, ("b",): 2}),
    ],
)
def test_every_key_of_a_file_has_its_line(text: str, lines: dict[Path, int]) -> None:
    assert key_lines(text) == lines
    assert paths_of(tomllib.loads(text)) == set(lines)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a =",
        "= 1",
        "a = [",
        "a = [=",
        "a = {",
        "a = {b",
        "[",
        "[[",
        "[]",
        "a = ,",
        '"',
        "a.",
        "a = [1",
        "a = [,",
        "]",
    ],
)
def test_a_text_that_is_no_toml_ends_the_scan(text: str) -> None:
    assert isinstance(key_lines(text), dict)
