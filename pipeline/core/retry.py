"""How long to wait before an attempt is made again."""

FIRST_S = 2.0
LONGEST_S = 120.0


def retry_delay_s(tries: int) -> float:
    """Return the pause in seconds after the n-th failed try (n from 1): doubling, bounded."""
    return float(min(LONGEST_S, FIRST_S * 2 ** min(max(tries, 1) - 1, 16)))
