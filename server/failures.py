"""What a log may say of an error of ours: its kind and its place, never its words, which may quote a request."""

import traceback


def where(error: BaseException, *held: BaseException) -> str:
    """An error's type and the calls that led to it, and so those of the errors that it holds or came from."""
    lines = [type(error).__name__, *traceback.format_tb(error.__traceback__)]
    inner = [*(error.exceptions if isinstance(error, BaseExceptionGroup) else ()), error.__cause__]
    known = (*held, error)
    return "\n".join([*lines, *(f"from {where(one, *known)}" for one in inner if one is not None and one not in known)])
