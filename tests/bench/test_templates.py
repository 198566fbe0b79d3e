from pathlib import Path

import pytest

from bench.templates import cache_folder, copy_tree, template


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_cache_folder_is_below_the_home_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/fanin")


def test_template_is_made_once() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        folder.mkdir()
        (folder / "file").write_text("content")

    first = template("kind", "ingredients", make)
    assert template("kind", "ingredients", make) == first
    assert (first / "file").read_text() == "content"
    assert len(made) == 1


def test_other_ingredients_make_another_template() -> None:
    assert template("kind", "one", Path.mkdir) != template("kind", "two", Path.mkdir)


def test_failure_leaves_no_template_behind() -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        raise RuntimeError("half made")

    with pytest.raises(RuntimeError):
        template("kind", "ingredients", fail)
    assert [path.name for path in (cache_folder() / "templates").iterdir()] == [".lock"]
    assert template("kind", "ingredients", Path.mkdir).exists()


def test_rest_of_a_killed_attempt_is_cleared_away() -> None:
    rest = cache_folder() / "templates" / "kind.new.0123"
    rest.mkdir(parents=True)
    template("kind", "ingredients", Path.mkdir)
    assert not rest.exists()


def test_copy_keeps_zeros_sparse(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "zeros").write_bytes(bytes(8 << 20))
    copy_tree(source, tmp_path / "copy")
    copied = (tmp_path / "copy" / "zeros").stat()
    assert copied.st_size == 8 << 20
    assert copied.st_blocks * 512 < 1 << 20
