// wechatpay-node-v3, unmodified: order, pay, notification, query, refund, bill. Its gateway's address is fixed, so its own
// requests are sent on to the sandbox through the place it has for another HTTP client.
import assert from "node:assert/strict";
import { createPublicKey, createVerify } from "node:crypto";
import Package from "wechatpay-node-v3";
import { base, ear, lever, merchant, number, sha1, today } from "./world.mjs";

const REAL = "https://api.mch.weixin.qq.com";
const { appid, mchid, serial, privateKey, certificate, key } = merchant;
const Pay = Package.default ?? Package;
const pay = new Pay({ appid, mchid, serial_no: serial, publicKey: certificate, privateKey: Buffer.from(privateKey), key });
const inner = pay.httpService;
pay.createHttp({
  get: (url, headers) => inner.get(url.replace(REAL, base), headers),
  post: (url, params, headers) => inner.post(url.replace(REAL, base), params, headers),
});
const door = await ear();

const { openid } = await lever("codes", { kind: "login", user: "node" });
const out_trade_no = number("NV");
const order = await pay.transactions_jsapi({
  out_trade_no, description: "手冲咖啡 x2", notify_url: door.url, amount: { total: 4200 }, payer: { openid },
});
assert.equal(order.status, 200, JSON.stringify(order));
const { appId, timeStamp, nonceStr, package: prepay, paySign } = order.data;
const signed = createVerify("RSA-SHA256").update([appId, timeStamp, nonceStr, prepay, ""].join("\n"));
assert.ok(signed.verify(createPublicKey(privateKey), paySign, "base64"));
await lever(`${prepay.replace("prepay_id=", "prepay/")}/pay`, {});

async function notified() {
  const { headers, body } = await door.next();
  const [timestamp, nonce, serial_no, signature] = ["timestamp", "nonce", "serial", "signature"].map(
    (name) => headers[`wechatpay-${name}`],
  );
  assert.ok(await pay.verifySign({ timestamp, nonce, body, serial: serial_no, signature }));
  assert.ok(!(await pay.verifySign({ timestamp, nonce, body: `${body} `, serial: serial_no, signature })));
  const { resource } = JSON.parse(body);
  return pay.decipher_gcm(resource.ciphertext, resource.associated_data, resource.nonce);
}

const told = await notified();
assert.deepEqual([told.out_trade_no, told.trade_state], [out_trade_no, "SUCCESS"]);
const found = await pay.query({ out_trade_no });
assert.equal(found.data.transaction_id, told.transaction_id);

const out_refund_no = number("NVR");
const refund = await pay.refunds({
  out_trade_no, out_refund_no, notify_url: door.url, amount: { refund: 1000, total: 4200, currency: "CNY" },
});
assert.equal(refund.data.status, "PROCESSING", JSON.stringify(refund));
assert.equal((await notified()).refund_status, "SUCCESS");
assert.equal((await pay.find_refunds(out_refund_no)).data.status, "SUCCESS");

const bill_date = await today();
const ticket = await pay.tradebill({ bill_date, bill_type: "ALL" });
const file = await pay.downloadBill(ticket.data.download_url.replace(base, REAL));
assert.equal(sha1(Buffer.from(file.data, "utf8")), ticket.data.hash_value);
assert.equal(file.data.split("\r\n").filter((row) => row.includes(out_trade_no)).length, 2);
const closed = await pay.close(out_trade_no);
assert.equal(closed.status, 400, JSON.stringify(closed));
door.close();
console.log("done");
