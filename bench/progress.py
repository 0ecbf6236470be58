"""The bar that tells how far a session is."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar


class Progress:
    """A bar over the workloads, and what is being done now. Where there is no terminal: a line for each step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("{task.description:<34}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)
        self._begun = False

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def expect(self, steps: int) -> None:
        """How many there will be."""
        self._bar.update(self._task, total=steps)

    def step(self, name: str) -> None:
        """The one before is done, this one begins."""
        if self._begun:
            self._bar.advance(self._task)
        self._begun = True
        self.say(name)

    def say(self, what: str) -> None:
        """What is being done within a step."""
        self._bar.update(self._task, description=what)
        if not self._console.is_terminal:
            self._console.print(f"  {what}", highlight=False)

    def tell(self, about: str, lines: list[str]) -> None:
        """What is to stay in the terminal."""
        for line in (about, *lines):
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
