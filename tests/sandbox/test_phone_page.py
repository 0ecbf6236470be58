"""The phone page in a real browser: what a buyer sees and taps, what a developer turns."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from box import Box

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1100,960",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="Debian's chromium and chromium-driver are not installed"),
]


@pytest.fixture(scope="module")
def started_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A world of its own: the page lists the latest of everything, and other tests buy a great deal."""
    made = Box(tmp_path_factory.mktemp("phone") / "data")
    yield made
    made.stop()
    made.http.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, box) -> Iterator["Page"]:
    browser.get(f"{box.url}/phone")
    page = Page(browser)
    yield page
    complaints = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
    refused = [entry for entry in complaints if "409" not in entry["message"]]
    assert refused == []  # nothing blocked by the policy, no error in a script


class Page:
    """The page as a person meets it."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser

    def find(self, selector: str):
        """The element, as soon as it is shown."""
        wait = WebDriverWait(self.browser, 8)
        return wait.until(lambda _: next((e for e in self.all(selector) if e.is_displayed()), None), selector)

    def all(self, selector: str) -> list:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def until(self, condition, why: str) -> None:
        WebDriverWait(self.browser, 8, ignored_exceptions=[Exception]).until(lambda _: condition(), why)

    def sheet(self, number: str) -> str:
        return f'.sheet[data-no="{number}"]'

    def tap(self, selector: str) -> None:
        self.until(lambda: self.find(selector).click() is None, selector)


def test_the_buyer_pays(page, box, inbox) -> None:
    number = box.ordered(inbox.url, description="手冲咖啡 x2")
    sheet = page.find(page.sheet(number))  # appears by itself: the page was open before
    for text in ("手冲咖啡 x2", "42.00", "沙箱小店", number, "alice"):
        assert text in sheet.text
    page.tap(f"{page.sheet(number)} .pay")
    assert "支付成功" in page.find("#result .title").text
    assert page.find("#result .money").text == "¥42.00"
    page.tap("#done")
    page.until(lambda: not page.all(page.sheet(number)), "the sheet goes away")
    page.until(lambda: "手冲咖啡" in page.find("#recent li").text, "it stands among the recent ones")
    assert box.state(number) == "SUCCESS"
    inbox.wait(1)
    page.until(lambda: "204" in page.find("#notices li").text, "the attempt is shown")


def test_the_buyer_cancels_and_pays_later(page, box) -> None:
    number = box.ordered()
    page.tap(f"{page.sheet(number)} .cancel")
    assert "已取消" in page.find("#result .title").text
    assert box.state(number) == "NOTPAY"
    page.tap("#done")
    page.tap(f"{page.sheet(number)} .pay")
    assert "支付成功" in page.find("#result .title").text
    page.tap("#done")


def test_an_expired_order_is_refused_in_words(page, box) -> None:
    number = box.ordered()
    page.find(page.sheet(number))
    box.lever("clock/advance", {"seconds": 7205})  # the sheet stays for a minute, as on a phone that was left lying
    page.tap(f"{page.sheet(number)} .pay")
    assert "没有成功" in page.find("#result .title").text
    assert "expired" in page.find("#result .why").text
    page.tap("#done")


def test_each_holder_sees_what_is_theirs(page, box) -> None:
    alices, bobs = box.ordered(), box.ordered(payer={"openid": box.openid("bob")})
    page.find(page.sheet(bobs))
    Select(page.find("#holder")).select_by_value(box.openid("alice"))
    page.until(lambda: not page.all(page.sheet(bobs)), "bob's order is not alice's to see")
    assert page.find(page.sheet(alices))
    Select(page.find("#holder")).select_by_value("")
    assert page.find(page.sheet(bobs))


def test_texts_of_the_merchant_stay_texts(page, box) -> None:
    number = box.ordered(description="<img src=x onerror=alert(1)><b>咖啡</b>")
    assert "<img src=x onerror=alert(1)><b>咖啡</b>" in page.find(page.sheet(number)).text
    assert page.all(".sheet img, .sheet b") == []


def test_the_drawer_turns_delivery_and_clock(page, box, inbox) -> None:
    page.tap('#delivery [data-mode="never"]')
    page.until(lambda: box.look("delivery")["mode"] == "never", "delivery is off")
    page.until(lambda: page.find('#delivery [aria-pressed="true"]').text.startswith("不送"), "and shown so")
    number = box.paid(inbox.url)
    page.until(lambda: number in page.find("#notices li").text, "the held notice is listed")
    assert inbox.heard == []
    page.tap("#notices li:first-child button")
    inbox.wait(1)
    page.until(lambda: "delivered" in page.find("#notices li").text, "delivered by hand")
    before = box.look("clock")["offset_s"]
    page.tap('#jumps [data-seconds="900"]')
    page.until(lambda: box.look("clock")["offset_s"] == before + 900, "the clock has jumped")


def test_refunds_come_back_to_the_phone(page, box) -> None:
    box.lever("settings", {"refund_delay_s": 0})
    order = box.paid(description="退我的钱")
    box.refund(order, 1000)
    page.until(lambda: "退我的钱" in page.find("#recent .plus").find_element(By.XPATH, "..").text, "listed")
    assert "+10.00" in page.find("#recent li").text


def test_a_combined_payment_is_one_sheet(page, box) -> None:
    openid, number = box.openid(), f"C{secrets.token_hex(6)}"
    parts = [
        {
            "mchid": box.mch_id,
            "attach": "x",
            "amount": {"total_amount": 150, "currency": "CNY"},
            "out_trade_no": f"S{secrets.token_hex(6)}",
            "description": name,
        }
        for name in ("咖啡", "蛋糕")
    ]
    body = {"combine_appid": box.app_id, "combine_mchid": box.mch_id, "combine_out_trade_no": number}
    body |= {"sub_orders": parts, "notify_url": "http://127.0.0.1:9/x", "combine_payer_info": {"openid": openid}}
    assert box.pay_api("POST", "/v3/combine-transactions/jsapi", body).status_code == 200
    sheet = page.find(page.sheet(number))
    for text in ("咖啡 + 蛋糕", "3.00"):
        assert text in sheet.text
    page.tap(f"{page.sheet(number)} .pay")
    assert "支付成功" in page.find("#result .title").text
    page.tap("#done")


def test_the_user_takes_a_transfer(page, box) -> None:
    root = "/v3/fund-app/mch-transfer/transfer-bills"
    body = {"appid": box.app_id, "out_bill_no": f"B{secrets.token_hex(6)}", "transfer_scene_id": "1011"}
    body |= {"openid": box.openid(), "transfer_amount": 250, "transfer_remark": "赔付"}
    body |= {"transfer_scene_report_infos": [{"info_type": "赔付原因", "info_content": "漏发"}]}
    assert box.pay_api("POST", root, body).status_code == 200
    offer = f'.transfer[data-bill="{body["out_bill_no"]}"]'
    assert "2.50" in page.find(offer).text
    page.tap(f"{offer} .take")
    page.until(lambda: not page.all(offer), "the offer goes away")
    found = box.pay_api("GET", f"{root}/out-bill-no/{body['out_bill_no']}").json()
    assert found["state"] in {"TRANSFERING", "SUCCESS"}


def test_an_h5_address_opens_the_phone(page, box) -> None:
    form = box.form(scene_info={"payer_client_ip": "203.0.113.9", "h5_info": {"type": "Wap"}})
    del form["payer"]
    url = box.pay_api("POST", "/v3/pay/transactions/h5", form).json()["h5_url"]
    box.ordered()  # a later one, which would stand first otherwise
    page.browser.get(url)
    assert page.find(".sheet").get_attribute("data-no") == form["out_trade_no"]


def test_the_page_needs_nothing_from_elsewhere(box) -> None:
    page = box.http.get("/phone")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    folder = Path(__file__).parents[2] / "sandbox" / "phone"
    assert not [path for path in folder.glob("*.js") if "innerHTML" in path.read_text()]
    assert box.http.get("/phone/routes.py").status_code == 404
