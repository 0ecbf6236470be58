"""`deploy/compose.several.yaml`: both databases alike, every name it uses is there, and no service relies on who leads."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parent.parent / "deploy"
TEXT = (DEPLOY / "compose.several.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODE = DEPLOY / "postgres-node"


def test_the_two_databases_differ_in_their_names_only() -> None:
    a, b = (SERVICES[f"postgres-{name}"] for name in "ab")
    assert {key for key in a if a[key] != b[key]} == {"environment", "volumes"}
    assert {key for key in a["environment"] if a["environment"][key] != b["environment"][key]} == {
        "NODE",
        "PEER",
        "PEER_HOST",
    }
    assert a["volumes"] == ["postgres-a:/var/lib/postgresql"]
    assert b["volumes"] == ["postgres-b:/var/lib/postgresql"]
    for name, peer in ("ab", "ba"):
        told = SERVICES[f"postgres-{name}"]["environment"]
        assert (told["NODE"], told["PEER"], told["PEER_HOST"]) == (name, peer, f"postgres-{peer}")


def test_the_databases_are_told_all_that_their_script_asks_for() -> None:
    given = SERVICES["postgres-a"]["environment"]
    asked = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", NODE.read_text()))
    optional = {"PORT", "PEER_PORT", "SOCKETS", "PGDATA"}  # the last one is the image's
    assert asked - optional == set(given)


def test_the_script_is_where_the_services_look_for_it() -> None:
    assert COMPOSE["configs"]["postgres-node"]["file"] == "./postgres-node"
    assert os.access(NODE, os.X_OK)
    subprocess.run(["sh", "-n", NODE], check=True)
    (mounted,) = SERVICES["postgres-a"]["configs"]
    assert Path(mounted["target"]).name == SERVICES["postgres-a"]["entrypoint"][0]


def test_every_service_that_is_waited_for_is_there_and_none_waits_for_a_certain_database_to_lead() -> None:
    for name, service in SERVICES.items():
        waits = service.get("depends_on", {})
        assert set(waits) <= set(SERVICES), name
        if isinstance(waits, dict):
            healthy = {who for who, how in waits.items() if how["condition"] == "service_healthy"}
            assert not healthy & {"postgres-a", "postgres-b"}, name


@pytest.mark.parametrize("hosts", [("postgres-a", "postgres-b"), ("pgbouncer-a", "pgbouncer-b")])
def test_every_address_names_both(hosts: tuple[str, str]) -> None:
    addresses = [line for line in TEXT.splitlines() if "target_session_attrs" in line and hosts[0] in line]
    assert addresses
    for line in addresses:
        assert hosts[1] in line, line
