"""A memory is bounded, and believed only while the news vouches for it."""

import pytest

from kit import memory as memories
from kit.memory import Memory
from kit.news import News


class Told(News):
    def __init__(self) -> None:
        super().__init__("postgresql://nobody@127.0.0.1:9/none")
        self.sound = True

    def holds(self, read_at: float) -> bool:
        return self.sound


@pytest.fixture
def news() -> Told:
    return Told()


def _kept(memory: Memory[str, str], **values: str) -> None:
    for key, value in values.items():
        memory.keep(key, value, memory.reading())


def test_the_least_recently_used_gives_way(news: Told) -> None:
    memory: Memory[str, str] = Memory(news, size=2, lives_s=60)
    _kept(memory, a="A", b="B")
    assert memory.find("a") == "A"
    _kept(memory, c="C")
    assert [memory.find(key) for key in "abc"] == ["A", None, "C"]


def test_what_is_heavy_pushes_out_as_much_as_it_weighs(news: Told) -> None:
    memory: Memory[str, str] = Memory(news, size=10, lives_s=60, weigh=len)
    _kept(memory, a="aaaa", b="bbbb")
    _kept(memory, b="b")  # what it weighed before counts no more
    _kept(memory, c="ccccc")
    assert [memory.find(key) for key in "abc"] == ["aaaa", "b", "ccccc"]
    _kept(memory, d="d" * 11)
    assert [memory.find(key) for key in "abcd"] == [None] * 4


def test_without_news_nothing_is_believed_and_it_stays_forgotten(news: Told) -> None:
    memory: Memory[str, str] = Memory(news, size=9, lives_s=60)
    _kept(memory, a="A")
    news.sound = False
    assert memory.find("a") is None
    news.sound = True
    assert memory.find("a") is None


def test_it_is_read_anew_when_its_time_is_over(news: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(memories.time, "monotonic", lambda: now)
    memory: Memory[str, str] = Memory(news, size=9, lives_s=60)
    _kept(memory, a="A")
    now += 42
    assert memory.find("a") == "A"
    now += 19
    assert memory.find("a") is None


def test_what_was_read_in_one_moment_is_not_read_anew_in_one(news: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(memories.time, "monotonic", lambda: now)
    memory: Memory[bytes, str] = Memory(news, size=2_000, lives_s=300)
    keys = [b"/api/v1/products?categoryId=%d" % number for number in range(1_000)]
    for key in keys:
        memory.keep(key, "list", memory.reading())
    left, ended = len(keys), []
    for _ in range(301):
        now += 1
        still = sum(memory.find(key) is not None for key in keys)
        ended.append(left - still)
        left = still
    assert left == 0
    assert max(ended) < 40, "a thousand that end within a minute and a half are some eleven a second"
    assert not any(ended[:200])


def test_what_was_being_read_while_something_was_forgotten_is_not_kept(news: Told) -> None:
    memory: Memory[str, str] = Memory(news, size=9, lives_s=60)
    for forget in (lambda: memory.forget("b"), lambda: memory.forget_where(lambda _: False), memory.forget_all):
        reading = memory.reading()
        forget()
        memory.keep("a", "A", reading)
        assert memory.find("a") is None
