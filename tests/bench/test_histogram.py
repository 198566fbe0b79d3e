import pytest

from bench.histogram import BUCKETS, Histogram, bucket_of, upper_bound


def test_small_values_are_exact() -> None:
    assert [upper_bound(bucket_of(value)) for value in range(128)] == list(range(128))


@pytest.mark.parametrize("value", [128, 129, 1000, 4095, 4096, 65_537, 1_000_000, 2**31])
def test_bucket_holds_its_value_within_two_percent(value: int) -> None:
    bound = upper_bound(bucket_of(value))
    assert value <= bound <= value * 1.02
    assert bucket_of(bound) == bucket_of(value)
    assert bucket_of(bound + 1) == bucket_of(value) + 1


def test_values_out_of_range_count_in_the_outermost_buckets() -> None:
    assert bucket_of(-5) == 0
    assert bucket_of(2**40) == BUCKETS - 1


def test_percentiles_are_those_of_the_values() -> None:
    histogram = Histogram()
    for value in range(1, 101):
        histogram.record(value)
    assert [histogram.percentile(percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]


def test_highest_percentile_is_the_maximum_and_not_its_bucket() -> None:
    histogram = Histogram()
    histogram.record(1_000_001)
    assert histogram.percentile(100) == 1_000_001


def test_empty_histogram_has_no_latency() -> None:
    assert Histogram().percentile(99) == 0


def test_histograms_add_up_and_can_be_cleared() -> None:
    first, second = Histogram(), Histogram()
    first.record(10)
    second.record(30)
    first.add(second)
    assert (first.total, first.maximum, first.percentile(50), first.percentile(100)) == (2, 30, 10, 30)
    first.clear()
    assert (first.total, first.maximum, first.percentile(100)) == (0, 0, 0)


def test_many_of_a_value_count_as_each_of_them() -> None:
    one, many = Histogram(), Histogram()
    for value in (70, 70, 70, 1000):
        one.record(value)
    many.record_many(70, 3)
    many.record_many(1000, 1)
    assert (many.counts, many.total, many.maximum) == (one.counts, one.total, one.maximum)
