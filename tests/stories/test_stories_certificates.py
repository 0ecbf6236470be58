"""A purchase and a refund of a merchant who verifies WeChat by platform certificates, or by both kinds of keys."""

import pytest
from cast import Shop

from payments.wechatpay.gateway import Unknown


async def test_a_purchase_and_a_refund(shop_of_an_older_merchant: Shop) -> None:
    shop = shop_of_an_older_merchant
    await shop.certified()
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    for _ in range(2):  # in the migration week notifications come signed by one key and by the other
        no = await shop.paid_order(buyer, {sku: 1})
        line = (await buyer.get(f"/orders/{no}")).json()["lines"][0]["id"]
        assert (await operator.refund(no, {line: 1})).status_code == 201
        await shop.run_jobs()
        shop.world.skip(seconds=5)
        assert (await shop.notify()).status_code == 204
        assert await buyer.state(no) == "refunded"


async def test_a_failed_download_loses_no_certificate(shop_of_an_older_merchant: Shop) -> None:
    gateway = shop_of_an_older_merchant.worker.gateway
    await gateway.refresh_keys()
    before = [certificate.serial_number for certificate in gateway.keyring.certificates]
    shop_of_an_older_merchant.world.faults(method="GET", path="/v3/certificates", times=1, effect="500")
    with pytest.raises(Unknown):
        await gateway.refresh_keys()
    assert [certificate.serial_number for certificate in gateway.keyring.certificates] == before != []
