"""News that nobody listens to and nobody believes: everything is read anew, so that a test sees what it has just written."""

from kit.news import News


class Unheard(News):
    """For tests that are not about memory."""

    def __init__(self) -> None:
        super().__init__("postgresql://nobody@127.0.0.1:9/none")

    def holds(self, read_at: float) -> bool:
        return False

    async def listen(self) -> None:
        pass
