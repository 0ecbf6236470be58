"""``api.weixin.qq.com``: login codes, phone codes, access tokens."""

import re
from base64 import b64decode

import pytest

RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


def log_in(box, code: str | None, **changes: str | None) -> dict:
    query = {"appid": box.app_id, "secret": box.env["WECHAT_APP_SECRET"], "js_code": code}
    query |= {"grant_type": "authorization_code", **changes}
    given = {name: value for name, value in query.items() if value is not None}
    response = box.http.get("/sns/jscode2session", params=given)
    assert response.status_code == 200
    return response.json()


def stable_token(box, **changes: object) -> dict:
    body = {"grant_type": "client_credential", "appid": box.app_id, "secret": box.env["WECHAT_APP_SECRET"]}
    return box.http.post("/cgi-bin/stable_token", json=body | changes).json()


def phone_number(box, code: object, token: str | None = None, **more: object) -> dict:
    query = {"access_token": token if token is not None else stable_token(box)["access_token"]}
    return box.http.post("/wxa/business/getuserphonenumber", params=query, json={"code": code, **more}).json()


def legacy_token(box) -> dict:
    query = {"grant_type": "client_credential", "appid": box.app_id, "secret": box.env["WECHAT_APP_SECRET"]}
    return box.http.get("/cgi-bin/token", params=query).json()


def token_error(box, token: str) -> int:
    """0 when the token works: the code is wrong in any case."""
    errcode = phone_number(box, "no such code", token)["errcode"]
    return 0 if errcode == 40029 else errcode


def mint(box, kind: str, user: str = "alice") -> dict:
    return box.lever("codes", {"kind": kind, "user": user})


def test_a_login_code_works_once(box) -> None:
    made = mint(box, "login")
    session = log_in(box, made["code"])
    assert set(session) == {"openid", "session_key"}  # no errcode when all went well
    assert session["openid"] == made["openid"]
    assert re.fullmatch(r"o[\w-]{27}", made["openid"])
    assert len(b64decode(session["session_key"])) == 16
    again = log_in(box, made["code"])
    assert again["errcode"] == 40163
    assert RID.search(again["errmsg"])
    other = mint(box, "login")
    assert other["openid"] == made["openid"]
    assert log_in(box, other["code"])["session_key"] != session["session_key"]


def test_a_code_lives_five_minutes_and_serves_one_purpose(box) -> None:
    old = mint(box, "login")["code"]
    box.lever("clock/advance", {"seconds": 301})
    assert log_in(box, old)["errcode"] == 40029
    assert log_in(box, mint(box, "phone")["code"])["errcode"] == 40029
    assert phone_number(box, mint(box, "login")["code"])["errcode"] == 40029
    assert log_in(box, "unknown")["errcode"] == 40029


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"appid": None}, 41002),
        ({"appid": "wx0123456789abcdef"}, 40013),
        ({"secret": None}, 41004),
        ({"secret": "0" * 32}, 40125),
        ({"js_code": None}, 41008),
        ({"grant_type": "client_credential"}, 40002),
    ],
)
def test_login_with_wrong_credentials(box, change, errcode) -> None:
    code = mint(box, "login")["code"]
    assert log_in(box, code, **change)["errcode"] == errcode
    assert "openid" in log_in(box, code)  # the code was not used up by the refusals


def test_a_blocked_user_and_a_unionid(box) -> None:
    box.lever("users", {"user": "mallory", "blocked": True})
    assert log_in(box, mint(box, "login", "mallory")["code"])["errcode"] == 40226
    union = box.lever("users", {"user": "uma", "unionid": True})["unionid"]
    assert log_in(box, mint(box, "login", "uma")["code"])["unionid"] == union
    assert box.lever("users", {"user": "uma", "unionid": None})["unionid"] is None


def test_a_hundred_logins_a_minute(new_box) -> None:
    box = new_box()
    answers = [log_in(box, mint(box, "login")["code"]) for _ in range(101)]
    assert [answer.get("errcode") for answer in answers[-2:]] in ([None, 45011], [None, None])


def test_phone_number(box) -> None:
    made = mint(box, "phone")
    answer = phone_number(box, made["code"], openid=made["openid"])
    assert (answer["errcode"], answer["errmsg"]) == (0, "ok")
    info = answer["phone_info"]
    assert re.fullmatch(r"138\d{8}", info["phoneNumber"])
    assert info["watermark"]["appid"] == box.app_id
    assert phone_number(box, made["code"])["errcode"] == 40029
    assert phone_number(box, mint(box, "phone")["code"], openid="oSomebodyElse")["errcode"] == 40029
    box.lever("users", {"user": "greta", "phone": "15112345678", "country_code": "49"})
    info = phone_number(box, mint(box, "phone", "greta")["code"])["phone_info"]
    assert (info["phoneNumber"], info["purePhoneNumber"]) == ("+4915112345678", "15112345678")


def test_posted_bodies(box) -> None:
    assert box.http.get("/cgi-bin/stable_token").json()["errcode"] == 43002
    assert box.http.post("/cgi-bin/stable_token").json()["errcode"] == 44002
    assert box.http.post("/cgi-bin/stable_token", content=b"{").json()["errcode"] == 47001
    assert box.http.post("/cgi-bin/stable_token", content=b"[]").json()["errcode"] == 47001
    assert phone_number(box, 7)["errcode"] == 40029
    assert phone_number(box, "x", "")["errcode"] == 41001
    assert phone_number(box, "x", "nonsense")["errcode"] == 40001
    assert stable_token(box, grant_type="x")["errcode"] == 40002
    assert stable_token(box, appid="wx1")["errcode"] == 40013
    assert stable_token(box, appid="")["errcode"] == 41002
    assert stable_token(box, secret="x")["errcode"] == 40125


def test_the_stable_token_stays_and_is_renewed_early(new_box) -> None:
    box = new_box()
    first = stable_token(box)
    assert set(first) == {"access_token", "expires_in"}
    box.lever("clock/advance", {"seconds": 1000})
    later = stable_token(box)
    assert later["access_token"] == first["access_token"]
    assert 6190 <= later["expires_in"] <= 6200
    box.lever("clock/advance", {"seconds": 5950})
    renewed = stable_token(box)
    assert renewed["access_token"] != first["access_token"]
    assert token_error(box, first["access_token"]) == token_error(box, renewed["access_token"]) == 0
    box.lever("clock/advance", {"seconds": 300})
    assert token_error(box, first["access_token"]) == 42001


def test_forced_tokens(new_box) -> None:
    box = new_box()
    first = stable_token(box)["access_token"]
    second = stable_token(box, force_refresh=True)["access_token"]
    assert second != first
    assert token_error(box, first) == 40001
    assert stable_token(box, force_refresh=True)["access_token"] == second  # within thirty seconds
    box.lever("clock/advance", {"seconds": 86400})  # a fresh day
    seen = []
    for _ in range(21):
        box.lever("clock/advance", {"seconds": 31})
        seen.append(stable_token(box, force_refresh=True))
    refused = [answer for answer in seen if "errcode" in answer]
    assert {answer["errcode"] for answer in refused} <= {45009}
    assert len(refused) <= 1  # none when midnight in Beijing fell between them


def test_legacy_tokens_replace_one_another_but_not_the_stable_one(new_box) -> None:
    box = new_box()
    stable = stable_token(box)["access_token"]
    first, second = legacy_token(box)["access_token"], legacy_token(box)["access_token"]
    assert token_error(box, first) == token_error(box, second) == token_error(box, stable) == 0
    box.lever("clock/advance", {"seconds": 301})
    assert token_error(box, first) == 40001
    assert token_error(box, second) == token_error(box, stable) == 0


def test_levers_on_tokens(new_box) -> None:
    box = new_box()
    first = stable_token(box)["access_token"]
    box.lever("tokens/expire")
    assert token_error(box, first) == 42001
    second = stable_token(box)["access_token"]
    box.lever("tokens/rotate")
    assert token_error(box, second) == 40001
    assert token_error(box, stable_token(box)["access_token"]) == 0
