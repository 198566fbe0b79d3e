from __future__ import annotations

import gc

import pytest

from proxy.classify import NOTHING
from proxy.sources import Sources, is_any_text, shape_after, without_nulls
from proxy.vector import Vector

SHOP = Vector.fresh(b"shop", {})
TEST = Vector.fresh(b"test", {})
STRING = b"\xfd\x00"
NULL = b"\x06\x00"
INT = b"\x03\x00"
BIGINT = b"\x08\x00"
UNSIGNED = b"\x08\x80"
DECIMAL = b"\xf6\x00"
DOUBLE = b"\x05\x00"
DATE = b"\x0a\x00"
TIME = b"\x0b\x00"
DATETIME = b"\x0c\x00"


def test_equal_sources_are_one_object() -> None:
    sources = Sources()
    first = sources.find(SHOP, b"SELECT ?", NOTHING, 1)
    assert sources.find(SHOP, b"SELECT" + b" ?", NOTHING, 1) is first
    assert sources.find(TEST, b"SELECT ?", NOTHING, 1) is not first
    assert sources.find(SHOP, b"SELECT 1", NOTHING, 0) is not first


def test_variants_are_found_again() -> None:
    sources = Sources()
    source = sources.find(SHOP, b"SELECT ?", NOTHING, 1)
    assert sources.variant(source, source.text, 0, b"") is source
    variant = sources.variant(source, source.text, 2, b"i")
    assert (variant.number, variant.shape, variant.num_params) == (2, b"i", 1)
    assert sources.variant(source, source.text, 2, b"i") is variant
    assert sources.variant(variant, source.text, 0, b"") is source
    other = sources.variant(source, b"SELECT 3 + ?", 0, b"")
    assert (other.text, other.vector) == (b"SELECT 3 + ?", SHOP)


def test_what_nobody_uses_is_forgotten() -> None:
    sources = Sources()
    kept = sources.find(SHOP, b"SELECT 1", NOTHING, 0)
    sources.find(SHOP, b"SELECT 2", NOTHING, 0)
    gc.collect()
    assert len(sources) == 1
    assert sources.find(SHOP, b"SELECT 1", NOTHING, 0) is kept


def test_types_of_many_are_one_object() -> None:
    source = Sources().find(SHOP, b"SELECT ?", NOTHING, 1)
    first = source.interned(bytes(bytearray(STRING)))
    assert source.interned(bytes(bytearray(STRING))) is first
    assert source.interned(BIGINT) == BIGINT


@pytest.mark.parametrize(
    ("before", "types", "after"),
    [
        # strings and NULLs change nothing
        (b"", STRING, b""),
        (b"", NULL, b""),
        (b"i", STRING, b"i"),
        (b"m", NULL, b"m"),
        # the first type of any other kind stays
        (b"", INT, b"i"),
        (b"i", BIGINT, b"i"),
        (b"i", UNSIGNED, b"u"),
        (b"i", DECIMAL, b"d"),
        (b"d", BIGINT, b"d"),
        (b"d", DOUBLE, b"f"),
        (b"f", DECIMAL, b"f"),
        (b"d", DATE, b"a"),
        (b"t", DATETIME, b"t"),
        (b"t", DATE, b"a"),
        (b"m", TIME, b"m"),
        # one that is new brings all the others with it
        (b"di", INT + STRING, b"di"),
        (b"di", INT + DOUBLE, b"if"),
        (b"d.", NULL + INT, b".i"),
    ],
)
def test_a_shape_is_what_mysql_keeps_of_types(before: bytes, types: bytes, after: bytes) -> None:
    assert shape_after(before, types) == after


@pytest.mark.parametrize(
    ("types", "nulls", "kinds"),
    [
        (INT + STRING, b"\0", INT + STRING),
        (INT + STRING, b"\2", INT + NULL),
        (INT * 9, b"\1\1", NULL + INT * 7 + NULL),
        # cut off
        (INT * 9, b"\1", INT * 9),
        (b"", b"\1", b""),
    ],
)
def test_a_null_has_no_type(types: bytes, nulls: bytes, kinds: bytes) -> None:
    assert without_nulls(types, nulls) == kinds


def test_text_is_told_from_numbers_times_and_null() -> None:
    assert not is_any_text(b"")
    assert not is_any_text(b"\x08\0\x03\x80\x05\0\x0c\0\x06\0\xf6\0")
    assert is_any_text(b"\x08\0\xfd\0")
    assert is_any_text(b"\xfc\0")
