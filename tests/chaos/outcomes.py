"""What a caller sees when an engine's answers go wrong, fault by fault; docs/reliability.md says the same in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """`once`: one of a request's calls goes wrong. "answered": nobody notices. "survived": the rest answers, and the
    reply says what was lost; a strategy that had but this one path fails as in `always`. `always`: the statuses with
    which a request fails all of whose calls go wrong; 200 where it does not fail, as a search whose calls end before
    they break.
    """

    once: str
    always: tuple[int, ...]

    @property
    def silent(self) -> bool:
        """Whether it is by its silence that the engine fails."""
        return 504 in self.always


RETRIED, LOST, HARMLESS = "answered", "survived", Outcome("answered", (200,))
GONE, SILENT = (503,), (504,)

OUTCOMES: dict[str, Outcome] = {
    "reset_before_headers": Outcome(RETRIED, GONE),
    "reset_after_headers": Outcome(RETRIED, GONE),
    "close_before_headers": Outcome(RETRIED, GONE),
    "hang_before_headers": Outcome(RETRIED, SILENT),
    "garbage_bytes": Outcome(RETRIED, GONE),
    "web_page": Outcome(RETRIED, GONE),
    "short_body": Outcome(LOST, (200, 503)),
    "gzip_bomb": Outcome(RETRIED, GONE),
    "endless_line": Outcome(RETRIED, GONE),
    "error_frame": Outcome(RETRIED, (502,)),
    "status_500": Outcome(RETRIED, (502,)),
    "status_502": Outcome(RETRIED, (502,)),
    "status_503": Outcome(RETRIED, GONE),
    "status_503_retry_after": Outcome(LOST, GONE),
    "status_429": Outcome(RETRIED, GONE),
    "status_429_retry_after": Outcome(RETRIED, GONE),
    "status_400": Outcome(LOST, (400,)),
    "redirect": Outcome(LOST, (502, 503)),
    "reset_mid_stream": Outcome(LOST, (200, 503)),
    "half_close": Outcome(LOST, (200, 503)),
    "truncated_chunk": Outcome(LOST, (200, 503)),
    "hang_mid_stream": Outcome(LOST, (200, 504)),
    "done_early": Outcome(LOST, (200, 503)),
    "error_frame_mid_stream": Outcome(LOST, (200, 502)),
    "garbage_frames": Outcome(LOST, (200, 503)),
    "wrong_index": Outcome(RETRIED, GONE),
    "negative_index": Outcome(RETRIED, GONE),
    "missing_choice": Outcome(LOST, (200, 503)),
    "repeated_chunks": Outcome("answered", (200,)),
    "no_done": Outcome(LOST, (200, 503)),
    "done_twice": HARMLESS,
    "drip": HARMLESS,
}
