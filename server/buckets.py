"""A token bucket that may run into debt: what was reserved is settled with what was spent, which may be more."""

MINUTE = 60.0


class Bucket:
    """`per_minute` units come in evenly, and as many are kept at most. It is full at first."""

    def __init__(self, per_minute: int, now: float) -> None:
        self.most = self.level = float(per_minute)
        self._at = now

    def refill(self, now: float) -> None:
        """Let time, in seconds of a clock that does not go back, have its effect."""
        self.level = min(self.most, self.level + (now - self._at) * self.most / MINUTE)
        self._at = now

    def wait(self, amount: float) -> float:
        """Seconds until so much may be taken; 0 where it may be now. More than all of it counts as all of it."""
        return max(0.0, min(amount, self.most) - self.level) * MINUTE / self.most

    def take(self, amount: float) -> None:
        self.level -= amount

    def reserve(self, amount: float) -> float:
        """Take so much, or all that there ever is; returns what was taken."""
        taken = min(amount, self.most)
        self.take(taken)
        return taken

    def settle(self, reserved: float, spent: float) -> None:
        """What was reserved turned out to be `spent`: the rest comes back, or a debt stays."""
        self.level = min(self.most, self.level + reserved - spent)

    def told(self) -> dict[str, str]:
        """How full it is, as OpenAI's headers have it: the limit, what remains, and when all will be there again."""
        return {
            "limit": str(int(self.most)),
            "remaining": str(max(0, int(self.level))),
            "reset": f"{self.wait(self.most):.3f}s",
        }
