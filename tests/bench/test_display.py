from io import StringIO

from rich.console import Console

from bench.display import SPARK_WIDTH, Display, plain_line, sparkline
from bench.trial import Sample


def sample(phase: str, at: float, rate: float = 0.0) -> Sample:
    return Sample(phase, at, 2000, (15, 13, 13), rate, 0, 0)


def shown(samples: list[Sample], *, terminal: bool) -> str:
    out = Console(file=StringIO(), width=100, force_terminal=terminal)
    with Display(out, "direct", clients=2000, seconds=4) as display:
        for each in samples:
            display.show(each)
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def test_plain_lines_come_now_and_then_and_with_each_phase() -> None:
    samples = [sample("connecting", at / 4) for at in range(4)] + [
        sample("running", at / 4) for at in range(4, 32)
    ]
    samples.append(sample("stopping", 8.25))
    lines = shown(samples, terminal=False).splitlines()
    assert [line.split(" s:")[0].strip() for line in lines] == [
        "direct  0.0",
        "direct  1.0",
        "direct  4.0",
        "direct  7.0",
    ]


def test_plain_line_fits_the_page() -> None:
    line = plain_line("through Fanin", Sample("running", 12.3, 2000, (1002, 500, 500), 23_456.0, 1, 0))
    assert line.endswith("2,000 clients on 2,002 server connections, 23,456 queries/s, 0 errors")
    assert len(line) <= 100


def test_terminal_gets_a_panel_that_goes_away() -> None:
    text = shown([sample("connecting", 0.5), sample("running", 1.0, 5000.0)], terminal=True)
    assert "15 + 13 + 13 = 41" in text
    assert "5,000" in text


def test_sparkline_is_as_high_as_its_highest_value() -> None:
    assert sparkline([0.0, 50.0, 100.0]) == "▁▅█"
    assert sparkline([]) == sparkline([0.0]) == ""
    assert len(sparkline([1.0] * 1000)) == SPARK_WIDTH
