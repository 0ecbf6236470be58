"""The page for developers: what was called and answered, and why a signature is wrong."""

import json
import re
import secrets
import shutil
import time
from base64 import b64encode
from html import unescape

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ORDERS = "/v3/pay/transactions/jsapi"


def page(box) -> str:
    response = box.http.get("/inspect")
    assert response.status_code == 200
    assert "script-src" not in response.headers["content-security-policy"]
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    return unescape(response.text)


def send(box, text: bytes, *, body: bytes, target: str = ORDERS, key=None, digest=None, **items: str):
    """A request whose signature stands over ``text``, in which TS and NONCE are filled in."""
    stamp, nonce = items.pop("timestamp", str(int(time.time()))), secrets.token_hex(16)
    text = text.replace(b"TS", stamp.encode()).replace(b"NONCE", nonce.encode())
    signature = (key or box.key).sign(text, padding.PKCS1v15(), digest or hashes.SHA256())
    facts = {"mchid": box.mch_id, "nonce_str": nonce, "signature": b64encode(signature).decode(), "timestamp": stamp}
    facts |= {"serial_no": box.env["WECHAT_PAY_CERT_SERIAL"], **items}
    header = "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in facts.items())
    response = box.http.request(
        "POST", target, content=body, headers={"Authorization": header, "Content-Type": "application/json"}
    )
    assert response.status_code == 401
    return box.look("signature-failures")["items"][0]


BODY = '{"appid":"wx","description":"手冲 咖啡/x","total":1}'.encode()
HEAD = f"POST\n{ORDERS}\nTS\nNONCE\n".encode()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (HEAD + json.dumps(json.loads(BODY)).encode() + b"\n", "spaces after commas and colons, ASCII escapes"),
        (HEAD + json.dumps(json.loads(BODY), separators=(",", ":")).encode() + b"\n", "no spaces, ASCII escapes"),
        (HEAD + json.dumps(json.loads(BODY), ensure_ascii=False, indent=2).encode() + b"\n", "indented by 2"),
        (HEAD + BODY.replace(b"/", b"\\/") + b"\n", "slashes escaped"),
        (HEAD + BODY, "without the final line feed"),
        (HEAD.replace(b"\n", b"\r\n") + BODY + b"\r\n", "CRLF"),
        (HEAD.replace(b"POST", b"post") + BODY + b"\n", "lower case"),
        (HEAD.replace(b"/v3", b"https://api.mch.weixin.qq.com/v3") + BODY + b"\n", "host in the path"),
        (HEAD.replace(b"/v3", b"v3", 1) + BODY + b"\n", "leading slash"),
        (HEAD.replace(b"TS", b"TS000") + BODY + b"\n", "milliseconds"),
        (f"POST\n{ORDERS}\nNONCE\nTS\n".encode() + BODY + b"\n", "changed for each other"),
        (HEAD + b"\n", "an empty body"),
        (HEAD + b"something else\n", "The right key over another text"),
    ],
)
def test_usual_mistakes_are_named(box, text, hint) -> None:
    failure = send(box, text, body=BODY)
    assert hint in failure["hint"]
    shown = page(box)
    assert failure["hint"] in shown
    assert f"POST<b>\\n</b>\n{ORDERS}<b>\\n</b>\n{failure['timestamp']}<b>\\n</b>" in shown
    assert "手冲 咖啡/x" in shown


def test_wrong_keys_and_wrong_names_are_told_apart(box) -> None:
    right = HEAD + BODY + b"\n"
    other = generate_private_key(65537, 2048)
    assert "Another key" in send(box, right, body=BODY, key=other)["hint"]
    assert "128 bytes" in send(box, right, body=BODY, key=generate_private_key(65537, 1024))["hint"]
    wechat = load_pem_private_key((box.folder / "wechatpay_key.pem").read_bytes(), None)
    assert "a key of WeChat's" in send(box, right, body=BODY, key=wechat)["hint"]
    assert "SHA-1" in send(box, right, body=BODY, digest=hashes.SHA1())["hint"]
    serial = box.env["WECHAT_PAY_CERT_SERIAL"]
    if serial != serial.lower():
        assert "upper case" in send(box, right, body=BODY, serial_no=serial.lower())["hint"]
    assert "WeChat's key" in send(box, right, body=BODY, serial_no=box.env["WECHAT_PAY_PUBLIC_KEY_ID"])["hint"]
    assert "Unknown mchid" in send(box, right, body=BODY, mchid="1")["hint"]
    assert "Base64" in send(box, right, body=BODY, signature="a-_b")["hint"]


def test_clocks_and_headers(box) -> None:
    right = HEAD + BODY + b"\n"
    late = send(box, right, body=BODY, timestamp=str(int(time.time()) - 600))["hint"]
    assert re.search(r"60\d seconds behind", late), late
    assert "milliseconds" in send(box, right, body=BODY, timestamp=f"{int(time.time())}000")["hint"]

    def header(value: str | None) -> str:
        headers = {} if value is None else {"Authorization": value}
        assert box.http.post("/v3/refund/domestic/refunds", content=b"{}", headers=headers).status_code == 401
        return box.look("signature-failures")["items"][0]["hint"]

    assert "no Authorization" in header(None)
    assert "lacks nonce_str, signature" in header('WECHATPAY2-SHA256-RSA2048 mchid="1",timestamp="1",serial_no="1"')
    assert "double quotes" in header("WECHATPAY2-SHA256-RSA2048 mchid='1'")
    assert ".netrc" in header("Basic abc")


def test_calls_orders_refunds_and_notices_are_shown_and_secrets_are_not(box, inbox) -> None:
    number = box.paid(inbox.url, description="<script>alert(1)</script>")
    refund = box.refund(number, 100).json()
    inbox.wait(1)
    box.lever("faults", {"path": "/v3/refund", "effect": "502_html"})
    box.refund(number, 100)
    secret = box.env["WECHAT_APP_SECRET"]
    code = box.lever("codes", {"kind": "login", "user": "alice"})["code"]
    box.http.get(f"/sns/jscode2session?appid={box.app_id}&secret={secret}&js_code={code}&grant_type=authorization_code")
    box.pay_api("GET", f"/v3/pay/transactions/out-trade-no/NOBODY-{number[:10]}?mchid={box.mch_id}")
    response = box.http.get("/inspect")
    assert "<script" not in response.text
    shown = unescape(response.text)
    for text in (
        number,
        refund["refund_id"],
        "TRANSACTION.SUCCESS",
        "ORDER_NOT_EXIST",
        ">502<",
        "204",
        "jscode2session",
    ):
        assert text in shown
    assert "/_sandbox/" not in shown
    key = (box.folder / "merchant_key.pem").read_text().splitlines()[1]
    for hidden in (secret, code, box.env["WECHAT_PAY_APIV3_KEY"], key):
        assert hidden not in shown
    assert box.http.get("/inspect/page.css").headers["content-type"].startswith("text/css")


def test_it_is_not_for_pages_of_other_places(box) -> None:
    assert box.http.get("/inspect", headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.browser
@pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="Debian's chromium and chromium-driver are not installed",
)
def test_it_is_readable_in_a_browser(box, tmp_path) -> None:
    selenium = pytest.importorskip("selenium", reason="selenium is not installed")
    assert selenium
    from selenium import webdriver  # noqa: PLC0415 - only where it is installed

    send(box, HEAD + BODY, body=BODY)
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        browser.get(f"{box.url}/inspect")
        article = browser.find_element("css selector", "#signatures article")
        assert "without the final line feed" in article.text
        assert "\\n" in article.find_element("css selector", "pre").text
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]] == []
    finally:
        browser.quit()


def test_the_wire_shows_what_was_verified(box) -> None:
    """The gateway's own answer is as short as the real one's; the page has the whole text."""
    failure = send(box, HEAD + b"x\n", body=BODY)
    assert failure["verified"].endswith(BODY.decode() + "\n")
    assert failure["verified"].startswith(f"POST\n{ORDERS}\n")
