"""Two machines under `deploy/postgres-node`: either may die and come back, and there are never two primaries."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from till import until
from twins import Pair, Twin, Writer, pair


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Pair]:
    with pair(tmp_path) as made:
        yield made


def test_who_was_the_primary_comes_back_as_the_standby_and_so_does_the_other_one(two: Pair) -> None:
    """Both ways, while somebody writes; one dies, the other is stopped. Each answered number is on both at the end."""
    with Writer(two) as writer:
        for old, new, end in ((two.a, two.b, Twin.kill), (two.b, two.a, Twin.stop)):
            writer.await_answers()
            end(old)
            new.must("lead")
            writer.await_answers()  # alone
            said = len(old.log())
            old.run()
            new.await_followed()
            assert old.is_() == "standby"
            assert "goes back to where they parted" in old.log()[said:]
            assert "copies" not in old.log()[said:]
            writer.await_answers()
    two.verdict(two.a, writer)


def test_who_was_the_primary_never_leads_again_while_the_other_is_silent(two: Pair) -> None:
    """Also when the other, which was told to lead, is down itself: then nobody leads until a person says who."""
    with Writer(two) as writer:
        writer.await_answers()
        two.a.kill()
        two.b.must("lead")
        writer.await_answers()
        two.b.stop()
        two.a.run()
        two.a.await_word("cannot be asked whether it leads now")
        two.a.stays("silent", 4)
        assert two.a.postmaster() is None
        two.b.run()
        two.b.await_word("cannot be asked whether it leads now")
        two.b.stays("silent", 4)
        two.b.must("lead")
        writer.await_answers()
        two.b.await_followed()
        assert two.a.is_() == "standby"
    two.verdict(two.b, writer)


@pytest.mark.long
def test_both_start_again_as_they_were(two: Pair) -> None:
    """As after a power cut of the house: who led goes on when the other answers as its standby, and not before."""
    with Writer(two) as writer:
        writer.await_answers()
        two.a.kill()
        two.b.kill()
        two.a.run()
        two.a.await_word("cannot be asked whether it leads now")
        two.a.stays("silent", 3)
        two.b.run()
        two.a.await_followed()
        writer.await_answers()
    two.verdict(two.a, writer)


@pytest.mark.long
def test_without_its_standby_nothing_is_answered_until_a_person_says_so(two: Pair) -> None:
    """Nor is a standby whose disk was lost anything but a new copy."""
    with Writer(two) as writer:
        writer.await_answers()
        two.b.kill()
        writer.await_silence()
        two.a.must("lead")
        writer.await_answers()
        shutil.rmtree(two.b.data)
        two.b.run()
        two.a.await_followed()
        writer.await_answers()
    two.verdict(two.a, writer)


@pytest.mark.long
def test_what_was_rewound_half_never_leads_and_is_copied_anew(two: Pair) -> None:
    """It died in the middle of it: half of one and half of the other."""
    two.a.kill()
    two.b.must("lead")
    two.b.stop()
    (two.a.home / "data.rewinding").touch()
    two.a.run()
    two.a.await_word("is rewound half")
    assert two.a.do("lead")[0] == 1
    two.a.stays("silent", 3)
    two.b.run()
    two.b.await_word("cannot be asked whether it leads now")
    two.b.must("lead")
    two.b.await_followed()
    assert "a: copies b" in two.a.log()
    assert not (two.a.home / "data.rewinding").exists()


@pytest.mark.long
def test_who_hung_while_the_other_was_told_to_lead_steps_down(two: Pair) -> None:
    """As a machine whose cable was cut for a while. Until it has seen the other one, it answers nothing that is lost."""
    with Writer(two) as writer:
        writer.await_answers()
        _all(two.a, signal.SIGSTOP)
        two.b.must("lead")
        writer.await_answers()
        _all(two.a, signal.SIGCONT)
        two.a.await_word("stops")
        assert two.a.process is not None
        two.a.process.wait(30)
        two.a.run()
        two.b.await_followed()
    two.verdict(two.b, writer)


def _all(twin: Twin, number: signal.Signals) -> None:
    """To all of its processes. Those of PostgreSQL are sessions of their own."""
    twin.tell(number)
    postmaster = twin.postmaster()
    assert postmaster is not None
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (postmaster, *map(int, children)):
        os.kill(pid, number)


@pytest.mark.long
def test_what_was_answered_alone_is_kept_aside_when_the_other_leads(two: Pair) -> None:
    """A person let both lead, one after the other: the orders of the first are not rewound, somebody may want them."""
    two.b.kill()
    two.a.must("lead")
    two.a.fetch("INSERT INTO written VALUES (7)")
    two.a.kill()
    two.b.run()
    until("b runs", lambda: two.b.is_() == "standby")
    two.b.must("lead")
    two.a.run()
    two.b.await_followed()
    assert [twin.fetch("SELECT n FROM written") for twin in (two.a, two.b)] == [[], []]
    (aside,) = two.a.home.glob("data.2*")
    assert (aside / "alone.conf").exists()


@pytest.mark.long
def test_nobody_is_made_a_second_primary_or_a_second_cluster_by_a_wrong_command(two: Pair, tmp_path: Path) -> None:
    code, said = two.b.do("lead")
    assert (code, two.b.is_()) == (1, "standby")
    assert "a is a primary: stop it first" in said
    two.b.stop()
    code, said = two.b.do("lead")
    assert code == 1
    two.b.data.rename(two.b.home / "lost")
    code, said = two.b.do("found")
    assert code == 1
    assert "a has a cluster" in said
    (tmp_path / "other").mkdir()
    with pair(tmp_path / "other") as other:
        other.a.stop()
        other.a.data.rename(two.b.data)
    two.b.run()
    two.b.await_word("has another cluster")
    two.b.stays("silent", 1)
    assert two.a.is_() == "primary"


@pytest.mark.long
def test_two_that_both_led_wait_for_a_person(two: Pair) -> None:
    """Whose orders are the right ones is not for a program to say."""
    two.a.kill()
    two.b.must("lead")
    two.b.stop()
    (two.b.data / "standby.signal").touch()  # as somebody might who means well
    two.a.run()
    two.b.run()
    two.a.await_word("was the primary on timeline 1, and b is a standby on 2")
    two.a.stays("silent", 3)
    two.b.stop()
    (two.b.data / "standby.signal").unlink()
    two.a.must("lead")
    two.b.run()
    two.b.await_word("was the primary on timeline 2, and a is a primary on 1")
    two.b.stays("silent", 3)
    shutil.rmtree(two.b.data)  # the person's word
    two.a.await_followed()
