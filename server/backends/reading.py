"""One continuation as it arrives from vLLM: what it has said, while that is needed to tell what its end means."""

from server.backends.wire import Choice, Delta, call_part, logprobs_of
from strategies.protocols import BackendError
from strategies.types import Call, Chunk, Finish


class Reading:
    """What one continuation has said so far, while that is needed to tell what its end means."""

    def __init__(self, call: Call, engine: str = "") -> None:
        self.engine = engine
        self.step = call.sampling.step
        self.ids: list[int] = []
        self.said = ""
        self.tokens = 0
        self._reasoning = False
        self._opened = call.prompt.thinks and not call.steps
        self._stops = call.sampling.stop if self.step else ()
        self._behind = max(map(len, self._stops), default=1) - 1
        self._held = ""

    def chunk(self, choice: Choice) -> Chunk:
        """One choice of an event as a chunk."""
        text = self._held + (choice.text or (self._told(choice.delta) if choice.delta else ""))
        finish = self._finish(choice)
        tokens = choice.token_ids or ()
        if self.step:
            self.ids += tokens
        if finish is None and self._behind:
            cut = max(0, len(text) - self._behind)
            text, self._held = text[:cut], text[cut:]
        elif isinstance(choice.stop_reason, str) and choice.stop_reason in self._stops:
            text = text.removesuffix(choice.stop_reason)
        if self.step:
            self.said += text
        count = len(tokens) if choice.token_ids is not None else int(bool(text))
        self.tokens += count
        calls = tuple(map(call_part, choice.delta.tool_calls or ())) if choice.delta else ()
        told = logprobs_of(choice.logprobs)
        return Chunk(text, choice.index, tuple(tokens), count, finish, told, calls, engine=self.engine)

    def _told(self, delta: Delta) -> str:
        """The text of a chat chunk; thinking that the engine has set apart goes back between its tags."""
        text = ""
        if delta.reasoning:
            text = delta.reasoning if self._reasoning or self._opened else f"<think>{delta.reasoning}"
            self._reasoning = True
        if delta.content or delta.tool_calls:
            text += f"</think>{delta.content or ''}" if self._reasoning else delta.content or ""
            self._reasoning = False
        return text

    def _finish(self, choice: Choice) -> Finish | None:
        match choice.finish_reason:
            case None:
                return None
            case "length":
                return "length"
            case "abort" | "error" as reason:
                raise BackendError(f"the engine gave a sequence up: {reason}", cause="error_in_stream")
        ours = self.step and choice.stop_reason == self.step and self.step not in self._stops
        return "step" if ours else "stop"
