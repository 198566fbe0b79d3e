"""A latency histogram of fixed size: counting is one list increment, and the error of a percentile is below 2 %."""

from __future__ import annotations

SUB_BITS = 6
SUB_BUCKETS = 1 << SUB_BITS  # buckets per power of two: 1/64 = 1.6 % between neighbours
MAX_BITS = 32  # values above 2**32 us (71 minutes) are counted in the last bucket
BUCKETS = (MAX_BITS - SUB_BITS + 1) * SUB_BUCKETS


def bucket_of(value: int) -> int:
    """The bucket that counts ``value`` (microseconds): exact below 64, then 64 to each power of two."""
    if value < SUB_BUCKETS:
        return max(value, 0)
    shift = value.bit_length() - SUB_BITS - 1
    return min((shift << SUB_BITS) + (value >> shift), BUCKETS - 1)


def upper_bound(bucket: int) -> int:
    """The largest value that ``bucket`` counts."""
    if bucket < 2 * SUB_BUCKETS:
        return bucket
    shift = (bucket >> SUB_BITS) - 1
    return ((bucket - (shift << SUB_BITS) + 1) << shift) - 1


class Histogram:
    """Counts of latencies in microseconds. Histograms can be added up; percentiles are upper bounds of buckets."""

    __slots__ = ("counts", "maximum", "total")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total = 0
        self.maximum = 0

    def record(self, value: int) -> None:
        """Count one latency of ``value`` microseconds."""
        self.counts[bucket_of(value)] += 1
        self.total += 1
        if value > self.maximum:
            self.maximum = value

    def record_many(self, value: int, count: int) -> None:
        """Count as many latencies of ``value`` microseconds."""
        self.counts[bucket_of(value)] += count
        self.total += count
        self.maximum = max(self.maximum, value)

    def add(self, other: Histogram) -> None:
        """Count everything that ``other`` has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
        self.maximum = max(self.maximum, other.maximum)

    def percentile(self, percent: float) -> int:
        """The value in microseconds that ``percent`` % of all latencies do not exceed; 0 when nothing was counted."""
        wanted = self.total * percent / 100
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min(upper_bound(bucket), self.maximum)
        return 0

    def clear(self) -> None:
        """Forget everything, for a new measurement."""
        self.counts = [0] * BUCKETS
        self.total = self.maximum = 0
