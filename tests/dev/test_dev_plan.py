"""What the environment asks for, and what is taken from the simulated WeChat."""

from pathlib import Path

import pytest

from dev import plan
from dev.trouble import Trouble

MERCHANT = """\
# written by the simulated WeChat
WECHAT_API_URL=http://127.0.0.1:8001
WECHAT_APP_ID=wxsandbox
WECHAT_APP_SECRET='with a blank'
WECHAT_PAY_URL=http://127.0.0.1:8001
WECHAT_PAY_MCH_ID=1900000001
"""


@pytest.fixture
def merchant(tmp_path: Path) -> Path:
    path = tmp_path / "merchant.env"
    path.write_text(MERCHANT)
    return path


def test_an_empty_environment_gets_the_whole_sandbox(merchant: Path) -> None:
    found = plan.with_sandbox({}, merchant)
    assert found["WECHAT_APP_SECRET"] == "with a blank"
    assert found["WECHAT_PAY_MCH_ID"] == "1900000001"


def test_pay_elsewhere_takes_no_pay_key_of_the_sandbox_but_its_app(merchant: Path) -> None:
    found = plan.with_sandbox({"WECHAT_PAY_URL": "http://127.0.0.1:9"}, merchant)
    assert found["WECHAT_PAY_URL"] == "http://127.0.0.1:9"
    assert "WECHAT_PAY_MCH_ID" not in found
    assert found["WECHAT_APP_ID"] == "wxsandbox"


def test_the_platform_elsewhere_takes_nothing_of_the_sandboxs(merchant: Path) -> None:
    found = plan.with_sandbox({"WECHAT_API_URL": "http://127.0.0.1:9"}, merchant)
    assert "WECHAT_APP_ID" not in found
    assert found["WECHAT_PAY_MCH_ID"] == "1900000001"


def test_what_the_person_sets_wins(merchant: Path) -> None:
    assert plan.with_sandbox({"WECHAT_APP_ID": "wxmine"}, merchant)["WECHAT_APP_ID"] == "wxmine"


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    read = plan.read({"DATABASE_URL": "", "SHOP_PORT": "", "WECHAT_PAY_URL": " ", "SHOP_DATA_DIR": str(tmp_path)})
    assert read.database_url is None
    assert read.shop_port == 8000
    assert "WECHAT_PAY_URL" not in read.environment


def test_a_sandbox_that_wrote_nothing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="did not write"):
        plan.with_sandbox({}, tmp_path / "merchant.env")
