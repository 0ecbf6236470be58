"""Lines of the log go out together, in their order, and none is left behind."""

import asyncio
import io
import threading

from kit.lines import Lines


class File(io.BytesIO):
    """Remembers its writes one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, text: bytes) -> int:  # type: ignore[override]
        self.writes.append(text)
        return super().write(text)


def test_without_a_loop_each_goes_out_at_once() -> None:
    file = File()
    lines = Lines(file)
    lines.info(b"one")
    assert file.writes == [b"one\n"]
    lines.info(b"two")
    assert file.writes == [b"one\n", b"two\n"]


def test_those_of_one_turn_are_one_write() -> None:
    file = File()
    lines = Lines(file)

    async def work() -> None:
        lines.info(b"one")
        lines.info(b"two")
        assert file.writes == []
        await asyncio.sleep(0)
        assert file.writes == [b"one\ntwo\n"]
        lines.info(b"three")
        await asyncio.sleep(0)

    asyncio.run(work())
    assert file.writes == [b"one\ntwo\n", b"three\n"]


def test_a_warning_does_not_wait_and_passes_nothing() -> None:
    file = File()
    lines = Lines(file)

    async def work() -> None:
        lines.info(b"one")
        lines.warning(b"two")
        assert file.writes == [b"one\ntwo\n"]

    asyncio.run(work())
    assert file.writes == [b"one\ntwo\n"]


def test_what_waited_for_a_loop_that_ended_comes_with_the_next_line() -> None:
    file = File()
    lines = Lines(file)
    ended = asyncio.new_event_loop()

    async def last_words() -> None:
        lines.info(b"last")

    task = ended.create_task(last_words())
    ended.call_soon(ended.stop)
    ended.run_forever()
    assert task.done()
    assert file.writes == []
    ended.close()

    async def another() -> None:
        lines.info(b"next")
        await asyncio.sleep(0)

    asyncio.run(another())
    assert file.writes == [b"last\nnext\n"]


def test_threads_lose_no_line() -> None:
    file = File()
    lines = Lines(file)

    def say(who: int) -> None:
        for number in range(500):
            lines.info(b"%d %d" % (who, number))

    threads = [threading.Thread(target=say, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = file.getvalue().splitlines()
    assert len(said) == len(set(said)) == 2000
