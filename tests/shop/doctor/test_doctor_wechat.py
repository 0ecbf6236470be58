"""What the doctor says of keys, clock, notify URL and account: each thing made wrong once, against the simulated WeChat."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from started import Started
from visits import but, examined

from shop.settings import Settings

pytestmark = pytest.mark.usefixtures("healed")


def _other_pair() -> tuple[str, str]:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


async def test_all_is_well(right: Settings) -> None:
    found = await examined(right)
    assert set(found.bad()) == {"worker"}, "nobody started one here"
    assert set(found.warned()) <= {"appid and merchant", "database"}
    assert {
        "signing",
        "clock",
        "platform certificates",
        "notices",
        "APIv3 key",
        "notify URL",
        "payments",
    } <= found.good()


async def test_another_private_key(right: Settings) -> None:
    bad = (await examined(but(right, private_key=_other_pair()[0]))).bad()
    assert "WECHAT_PAY_PRIVATE_KEY does not belong to WECHAT_PAY_CERT_SERIAL" in bad["signing"]
    assert "notices" not in bad, "what was not tried is not blamed"


async def test_another_serial_and_another_merchant(right: Settings) -> None:
    bad = (await examined(but(right, cert_serial="1" * 40))).bad()
    assert "WECHAT_PAY_CERT_SERIAL" in bad["signing"]
    bad = (await examined(but(right, mch_id="1900009999"))).bad()
    assert "401" in bad["signing"]


async def test_a_wrong_apiv3_key(right: Settings) -> None:
    """The running shop has the right one: only these settings are wrong."""
    bad = (await examined(but(right, apiv3_key="x" * 32))).bad()
    assert "does not open with it, though the running shop does" in bad["APIv3 key"]


async def test_another_public_key(right: Settings) -> None:
    bad = (await examined(but(right, public_key=_other_pair()[1]))).bad()
    (key,) = [text for about, text in bad.items() if about.startswith("key PUB")]
    assert "the PEM and the id are not of one key" in key


async def test_another_public_key_id(right: Settings) -> None:
    strange = "PUB_KEY_ID_0119000000012026010100111122003344"
    bad = (await examined(but(right, public_key_id=strange))).bad()
    (key,) = [text for about, text in bad.items() if about.startswith("key PUB")]
    assert "WECHAT_PAY_PUBLIC_KEY_ID" in key


async def test_an_answer_that_cannot_be_believed(right: Settings, started: Started) -> None:
    for effect, said in (("bad_response_signature", "does not fit our key"), ("unsigned", "it is not signed")):
        started.world.faults(method="POST", path="/v3/security/echo", times=1, effect=effect)
        bad = (await examined(right)).bad()
        (key,) = [text for about, text in bad.items() if about.startswith("key PUB")]
        assert said in key


async def test_certificates_where_there_are_none(right: Settings) -> None:
    bad = (await examined(but(right, key_mode="both"))).bad()
    assert "WECHAT_PAY_KEY_MODE=public_key" in bad["platform certificates"]


async def test_the_clock(right: Settings) -> None:
    bad = (await examined(but(right), off_s=400)).bad()
    assert "400 s ahead of WeChat Pay" in bad["clock"]
    assert "clock of this machine" in bad["signing"]
    bad = (await examined(but(right), off_s=-400)).bad()
    assert "behind" in bad["clock"]
    found = await examined(but(right), off_s=100)
    assert "100 s ahead" in found.warned()["clock"]
    assert "signing" in found.good()


async def test_wechat_pay_is_away_or_ill(right: Settings, started: Started) -> None:
    bad = (await examined(but(right, pay_url="http://127.0.0.1:9"))).bad()
    assert "does not answer" in bad["WeChat Pay"]
    started.world.faults(method="GET", path="/v3/certificates", times=1, effect="502_html")
    bad = (await examined(right)).bad()
    assert "502" in bad["signing"]
    started.world.faults(method="GET", path="/v3/pay/", times=1, effect="500")
    assert "500" in (await examined(right)).bad()["payments"]


async def test_the_mini_programs_account(right: Settings) -> None:
    bad = (await examined(but(right, app_secret="0" * 32))).bad()
    assert "40125" in bad["Mini Program"]
    assert "AppSecret" in bad["Mini Program"] or "WECHAT_APP_SECRET" in bad["Mini Program"]
    bad = (await examined(but(right, app_id="wx0000000000000009"))).bad()
    assert "WECHAT_APP_ID" in bad["Mini Program"]
    bad = (await examined(but(right, app_id="gh_0000000000000"))).bad()
    assert "no appid" in bad["names"]


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (200, b"ok", {}, "Something else answers there"),
        (204, b"", {}, "Something else answers there"),
        (301, b"", {"location": "https://shop.example.com/"}, "follows no redirect"),
        (302, b"", {"location": "/login"}, "follows no redirect"),
        (401, b"<html>Please sign in</html>", {"www-authenticate": "Basic"}, "not in the shop's words"),
        (403, b"", {}, "Let the proxy pass POST"),
        (404, b"", {}, "Let the proxy pass POST"),
        (502, b"", {}, "Let the proxy pass POST"),
    ],
)
async def test_a_notify_url_that_is_not_the_shop(
    right: Settings, door: Callable[..., str], status: int, body: bytes, headers: dict[str, str], said: str
) -> None:
    found = await examined(but(right, public_url=door(status, body, **headers)), wait_s=1)
    assert said in found.bad()["notify URL"]


async def test_a_notify_url_that_looks_like_the_shop_and_stores_nothing(
    right: Settings, door: Callable[..., str]
) -> None:
    impostor = door(401, b'{"code":"FAIL","message":"x"}')
    bad = (await examined(but(right, public_url=impostor), wait_s=1)).bad()
    assert "did not arrive within 1 s" in bad["notices"]


async def test_a_notify_url_that_is_slow_or_nowhere(right: Settings, door: Callable[..., str]) -> None:
    slow = door(401, b'{"code":"FAIL","message":"x"}', rest_s=3.2)
    assert "takes 3." in (await examined(but(right, public_url=slow), wait_s=1)).warned()["notify URL"]
    nowhere = await examined(but(right, public_url="http://127.0.0.1:9"), wait_s=1)
    assert "nobody answers" in nowhere.bad()["notify URL"]
