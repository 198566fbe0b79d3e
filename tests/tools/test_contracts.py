import grimp
import pytest

from tools.contracts import OwnersContract, PureContract, is_within


def graph(*imports: tuple[str, str]) -> grimp.ImportGraph:
    """A graph of modules with these imports (importer, imported)."""
    made = grimp.ImportGraph()
    for name in sorted({name for pair in imports for name in pair}):
        made.add_module(name)
    for importer, imported in imports:
        made.add_import(importer=importer, imported=imported)
    return made


def pure(*imports: tuple[str, str]) -> list[str]:
    contract = PureContract(
        name="pure",
        session_options={},
        contract_options={
            "package": "proxy",
            "modules": ["proxy.pool", "proxy.session", "proxy.not_written_yet"],
            "forbidden_modules": ["asyncio", "time"],
        },
    )
    check = contract.check(graph(*imports), verbose=False)
    findings: list[str] = check.metadata["findings"]
    assert check.kept == (not findings)
    return findings


def owners(*imports: tuple[str, str]) -> list[str]:
    contract = OwnersContract(
        name="owners",
        session_options={},
        contract_options={"owners": ["structlog: proxy.logs, bench", "nobody: proxy.nothing"]},
    )
    findings: list[str] = contract.check(graph(*imports), verbose=False).metadata["findings"]
    return findings


def test_pure_module_may_import_pure_modules_and_other_rooms() -> None:
    assert (
        pure(("proxy.pool", "proxy.session"), ("proxy.pool", "protocol.wire"), ("proxy.session", "enum"))
        == []
    )


def test_shell_may_import_anything() -> None:
    assert pure(("proxy.shell", "asyncio"), ("proxy.shell", "proxy.pool")) == []


def test_pure_module_that_imports_a_shell_is_found() -> None:
    assert pure(("proxy.pool", "proxy.shell")) == ["proxy.pool is pure and imports proxy.shell, which is not"]


@pytest.mark.parametrize("library", ["asyncio", "asyncio.timeouts"])
def test_pure_module_that_imports_what_is_forbidden_is_found(library: str) -> None:
    assert pure(("proxy.pool", library)) == [f"proxy.pool is pure and imports {library}"]


def test_library_is_for_its_rooms_only() -> None:
    assert owners(("proxy.logs", "structlog"), ("bench.report", "structlog")) == []
    assert owners(("proxy.pool", "structlog")) == [
        "proxy.pool imports structlog, whose room is proxy.logs or bench"
    ]


def test_findings_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    contract = OwnersContract(
        name="owners", session_options={}, contract_options={"owners": ["structlog: proxy.logs"]}
    )
    contract.render_broken_contract(contract.check(graph(("proxy.pool", "structlog")), verbose=False))
    assert "proxy.pool imports structlog" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "package", "expected"),
    [("proxy", "proxy", True), ("proxy.pool", "proxy", True), ("proxy_other", "proxy", False)],
)
def test_modules_are_within_their_package(module: str, package: str, expected: bool) -> None:
    assert is_within(module, package) is expected
