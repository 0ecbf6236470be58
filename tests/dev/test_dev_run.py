"""The launcher: a whole run, and everything that may go wrong, with a fake shop."""

import os
import signal
import socket
import stat
import time
from pathlib import Path

import pytest
from dev_world import World


def test_a_run_from_first_start_to_the_last_process(world: World) -> None:
    run = world.launch()
    facts = run.ready()
    assert facts["api_url"] == f"http://127.0.0.1:{world.shop_port}"
    assert world.answers()
    addresses = world.data / "database.env"
    assert stat.S_IMODE(addresses.stat().st_mode) == 0o600
    assert {line.partition("=")[0] for line in addresses.read_text().split()} == {"DATABASE_URL", "DATABASE_OWNER_URL"}
    run.signal(signal.SIGINT)
    code, said = run.ends()
    assert code == 0
    for part in (f"{facts['api_url']}/docs", "/phone", "login operator, password a-password", "first start in"):
        assert part in said
    assert world.processes() == {}
    assert not (world.data / "run.json").exists()
    assert not addresses.exists()


def test_a_later_start_migrates_but_does_not_seed(world: World) -> None:
    for _ in range(2):
        run = world.launch()
        run.ready()
        run.signal(signal.SIGTERM)
        code, said = run.ends()
        assert code == 0
    assert "first start" not in said
    assert world.commands().count("migrate") == 2
    assert world.commands().count("seed") == 1


def test_impatience_changes_nothing(world: World) -> None:
    run = world.launch()
    run.ready()
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run.signal(number)
        time.sleep(0.02)
    assert run.ends()[0] == 0
    assert world.processes() == {}


def test_nohup_is_respected(world: World) -> None:
    run = world.launch(before=("nohup",))
    run.ready()
    run.signal(signal.SIGHUP)
    time.sleep(0.5)
    assert world.answers()
    run.signal(signal.SIGTERM)
    assert run.ends()[0] == 0


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.5, 0.8])
def test_asked_to_stop_while_starting(world: World, moment: float) -> None:
    run = world.launch()
    time.sleep(moment)
    run.signal(signal.SIGTERM)
    assert run.ends()[0] in (0, -signal.SIGTERM)  # the latter: before Python could say otherwise
    assert world.all_gone() == {}


@pytest.mark.trial("R38")
def test_a_killed_launcher_takes_everything_with_it_and_the_next_start_is_clean(world: World) -> None:
    run = world.launch()
    run.ready()
    run.process.kill()
    run.ends()
    again = world.launch()  # at once: it waits for the keepers of the first to finish
    again.ready()
    again.signal(signal.SIGTERM)
    assert again.ends()[0] == 0
    assert world.processes() == {}


@pytest.mark.trial("R38")
def test_killed_keepers_too_leave_nothing(world: World) -> None:
    run = world.launch()
    run.ready()
    keepers = [pid for pid, command in world.processes().items() if "keeper.py" in command]
    assert len(keepers) == 4
    for pid in [run.process.pid, *keepers]:
        os.kill(pid, signal.SIGKILL)
    run.ends()
    assert [text for text in world.all_gone(3).values() if "time.sleep" not in text] == []  # a grandchild has no keeper
    for pid in world.processes():
        os.kill(pid, signal.SIGKILL)


def test_it_ends_with_its_parent_if_told_so(world: World) -> None:
    through = ("sh", "-c", '"$@" & wait', "sh")
    run = world.launch("--with-parent", before=through)
    deadline = time.monotonic() + 20
    while not (world.data / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.process.kill()
    assert world.all_gone() == {}


@pytest.mark.trial("R38")
def test_a_second_start_in_the_same_folder(world: World) -> None:
    run = world.launch()
    run.ready()
    code, said = world.launch().ends()
    assert code == 1
    assert said.startswith(
        f"error: A shop already runs in {world.data} (its API is at http://127.0.0.1:{world.shop_port})"
    )
    assert world.answers()


@pytest.mark.parametrize("variable", ["SHOP_PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_named_before_anything_starts(world: World, variable: str) -> None:
    port = world.shop_port if variable == "SHOP_PORT" else world.sandbox_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, said = world.launch().ends()
    assert (code, said) == (
        1,
        f"error: Port {port} is taken by another program: stop it, or set {variable} to a free port.\n",
    )
    assert not (world.data / "postgres").exists()


def test_a_data_folder_that_cannot_be_made(world: World) -> None:
    world.data.write_text("a file stands in the way")
    code, said = world.launch().ends()
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(f"error: The data folder {world.data} cannot be written")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where even root cannot write")
def test_a_data_folder_that_cannot_be_written(world: World) -> None:
    code, said = world.launch(SHOP_DATA_DIR="/proc/self/data").ends()
    assert (code, said.count("\n")) == (1, 1)
    assert "cannot be written" in said


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SHOP_PORT": "http"}, "SHOP_PORT must be a port number"),
        ({"SANDBOX_PORT": "65536"}, "SANDBOX_PORT must be a port number"),
        ({"SHOP_PORT": "9001", "SANDBOX_PORT": "9001"}, "must differ"),
        ({"SHOP_ENV": "production"}, "unset SHOP_ENV"),
    ],
)
def test_settings_that_cannot_be(world: World, variables: dict[str, str], sentence: str) -> None:
    code, said = world.launch(**variables).ends()
    assert (code, said.count("\n")) == (1, 1)
    assert sentence in said


@pytest.mark.parametrize("command", ["migrate", "seed", "serve", "work"])
def test_a_part_that_fails_is_named_with_its_last_words(world: World, command: str) -> None:
    code, said = world.launch(FAKE_FAILS=command).ends()
    name = {"serve": "api", "work": "worker"}.get(command, command)
    assert code == 1
    assert f"error: `{name}` " in said
    assert f"the last words of {command}" in said
    assert world.processes() == {}


def test_a_database_of_ones_own(world: World) -> None:
    mine = "postgresql://me:secret@127.0.0.1:1/mine"
    run = world.launch(DATABASE_URL=mine)
    run.ready()
    run.signal(signal.SIGINT)
    _, said = run.ends()
    assert world.given("serve")["DATABASE_URL"] == mine
    assert "secret" not in said
    assert not (world.data / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder somebody else's")
def test_a_data_folder_of_another_user_is_left_alone(world: World) -> None:
    world.data.mkdir()
    (world.data / "run.lock").touch()
    os.chown(world.data / "run.lock", 12345, 12345)
    code, said = world.launch().ends()
    assert (code, said.count("\n")) == (1, 1)
    assert "is user 12345's" in said
    assert [entry.name for entry in world.data.iterdir()] == ["run.lock"]
