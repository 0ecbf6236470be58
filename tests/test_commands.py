"""The commands of `python -m shop`: what the list says of each is what its module says, and none is left out."""

from importlib import import_module
from pathlib import Path

import pytest

import shop.commands
from shop.__main__ import COMMANDS


def test_the_list_is_whole() -> None:
    modules = {path.stem for path in Path(shop.commands.__path__[0]).glob("*.py")} - {"__init__"}
    assert modules == COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_the_list_says_of_it(name: str) -> None:
    command = import_module(f"shop.commands.{name}")
    assert (command.__doc__ or "").splitlines()[0] == COMMANDS[name]
    assert callable(command.run)
