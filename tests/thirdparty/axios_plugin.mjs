// wechatpay-axios-plugin, unmodified: order, pay, notification, query, refund, bill. It verifies every answer by itself.
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import plugin from "wechatpay-axios-plugin";
import { base, ear, lever, merchant, number, sha1, today } from "./world.mjs";

const { Wechatpay, Formatter, Rsa, Aes } = plugin;
const { appid, mchid, serial, privateKey, publicKey, publicKeyId, key } = merchant;
const wxpay = new Wechatpay({ mchid, serial, privateKey, certs: { [publicKeyId]: publicKey }, baseURL: base });
const door = await ear();

const { openid } = await lever("codes", { kind: "login", user: "axios" });
const out_trade_no = number("AX");
const order = await wxpay.v3.pay.transactions.jsapi.post({
  appid, mchid, out_trade_no, description: "手冲咖啡 x2", notify_url: door.url, amount: { total: 4200, currency: "CNY" }, payer: { openid },
});
assert.match(order.data.prepay_id, /^wx/);
await lever(`prepay/${order.data.prepay_id}/pay`, {});

async function notified() {
  const { headers, body } = await door.next();
  assert.equal(headers["wechatpay-serial"], publicKeyId);
  const text = Formatter.response(headers["wechatpay-timestamp"], headers["wechatpay-nonce"], body);
  assert.ok(Rsa.verify(text, headers["wechatpay-signature"], publicKey));
  const { resource } = JSON.parse(body);
  return JSON.parse(Aes.AesGcm.decrypt(resource.ciphertext, key, resource.nonce, resource.associated_data));
}

const told = await notified();
assert.deepEqual([told.out_trade_no, told.trade_state, told.amount.total], [out_trade_no, "SUCCESS", 4200]);
const found = await wxpay.v3.pay.transactions.outTradeNo._out_trade_no_.get({ out_trade_no, params: { mchid } });
assert.equal(found.data.transaction_id, told.transaction_id);

const out_refund_no = number("AXR");
const refund = await wxpay.v3.refund.domestic.refunds.post({
  out_trade_no, out_refund_no, reason: "少一杯", notify_url: door.url, amount: { refund: 1000, total: 4200, currency: "CNY" },
});
assert.equal(refund.data.status, "PROCESSING");
const back = await notified();
assert.deepEqual([back.out_refund_no, back.refund_status], [out_refund_no, "SUCCESS"]);
const refunded = await wxpay.v3.refund.domestic.refunds._out_refund_no_.get({ out_refund_no });
assert.deepEqual([refunded.data.status, refunded.data.amount.refund], ["SUCCESS", 1000]);

const bill_date = await today();
const ticket = await wxpay.v3.bill.tradebill.get({ params: { bill_date, bill_type: "ALL", tar_type: "GZIP" } });
const address = new URL(ticket.data.download_url);
const file = await wxpay.v3.billdownload.file.get({
  params: Object.fromEntries(address.searchParams), responseType: "arraybuffer", transformResponse: [(data) => data],
});
const plain = gunzipSync(file.data);
assert.equal(sha1(plain), ticket.data.hash_value);
const { rows, summary } = Formatter.castCsvBill(plain);
assert.deepEqual(
  rows.filter((row) => row.商户订单号 === out_trade_no).map((row) => [row.交易状态, row.订单金额, row.申请退款金额]),
  [["SUCCESS", "42.00", "0.00"], ["REFUND", "0.00", "10.00"]],
);
assert.equal(Number(summary.总交易单数), rows.length);

await assert.rejects(
  wxpay.v3.pay.transactions.outTradeNo._out_trade_no_.close.post({ mchid }, { out_trade_no }),
  (error) => error.response.status === 400 && error.response.data.code === "ORDERPAID",
);
await lever("faults", { path: "/v3/pay", effect: "probe" });
await assert.rejects(wxpay.v3.pay.transactions.outTradeNo._out_trade_no_.get({ out_trade_no, params: { mchid } }));
door.close();
console.log("done");
