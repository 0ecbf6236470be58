"""Refusals that any route may give, whatever it does."""

from kit.errors import TooMany


class TooManyRequests(TooMany):
    """Too many requests by this address, member or account; wait as long as `Retry-After` says."""

    zh = "请求太频繁，请稍后再试"

    def __init__(self, retry_after_s: int, *, of: str) -> None:
        """`of`: which limit it was."""
        super().__init__(limit=of)
        self.retry_after_s = retry_after_s
