"""How the time that a piece of work takes grows with the text it is given."""

import time

SMALL, LARGE = 1 << 13, 1 << 18
"""Characters."""
SLACK = 6
"""How much more than in proportion it may grow: work in the square of the length grows 32 times more."""

SHORTEST = 1e-4
"""Seconds that can be told from nothing."""


def seconds(work, text, rounds=3):
    """CPU seconds of the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.thread_time()
        work(text)
        best = min(best, time.thread_time() - start)
    return best


def check_linear(work, made, lengths=(SMALL, LARGE)):
    """Check that work on `made(length)` takes time in proportion to the length. Raises AssertionError."""
    small, large = (seconds(work, made(length)) for length in lengths)
    most = max(small, SHORTEST) * lengths[1] / lengths[0] * SLACK
    assert large < most, f"{lengths[0]} characters take {small:.4f} s, {lengths[1]} take {large:.4f} s"
