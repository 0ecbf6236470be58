"""Who calls: proxies are believed as far as they are ours."""

import pytest

from kit.web.peer import Peers, networks


def _scope(peer: str | None, *said: str) -> dict[str, object]:
    headers = [(b"x-forwarded-for", text.encode()) for text in said]
    return {"client": None if peer is None else (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("trusted", "peer", "said", "found"),
    [
        ("", "203.0.113.9", [], "203.0.113.9"),
        ("", "203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # anybody may say anything
        ("10.0.0.0/8", "10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.0/8", "10.0.0.5", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # only the last was written by ours
        ("10.0.0.0/8", "10.0.0.5", ["1.1.1.1", "198.51.100.1, 10.0.0.7"], "198.51.100.1"),
        ("10.0.0.0/8, 192.168.1.1", "192.168.1.1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.0/8", "::ffff:10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.0/8", "10.0.0.5", ["198.51.100.1:4711"], "198.51.100.1"),  # some proxies write the port too
        ("10.0.0.0/8", "10.0.0.5", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.0/8", "10.0.0.5", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.0/8", "10.0.0.5", ["198.51.100.1:4711, 10.0.0.7:80"], "198.51.100.1"),
        ("10.0.0.0/8", "10.0.0.5", ["198.51.100.1:http"], None),
        ("10.0.0.0/8", "10.0.0.5", ["[198.51.100.1"], None),
        ("10.0.0.0/8", "10.0.0.5", ["unknown"], None),
        ("10.0.0.0/8", "10.0.0.5", ["198.51.100.1; drop"], None),
        ("127.0.0.0/8", "127.0.0.1", ["127.0.0.1"], None),
        ("", "127.0.0.1", [], None),
        ("", None, [], None),
        ("", "not an address", ["1.1.1.1"], None),
    ],
)
def test_the_client(trusted: str, peer: str | None, said: list[str], found: str | None) -> None:
    assert Peers(networks(trusted)).client(_scope(peer, *said)) == found


def test_this_machine_has_a_stand_in() -> None:
    assert Peers(stand_in="192.0.2.1").client(_scope("127.0.0.1")) == "192.0.2.1"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "10.0.0.0/33"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match=text.split("/", maxsplit=1)[0]):
        networks(text)
