// What both clients share: the sandbox's levers, and a place that hears notifications. No signature is made or checked here.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const { env } = process;

export const base = env.WECHAT_PAY_URL;
export const merchant = {
  appid: env.WECHAT_APP_ID,
  mchid: env.WECHAT_PAY_MCH_ID,
  serial: env.WECHAT_PAY_CERT_SERIAL,
  key: env.WECHAT_PAY_APIV3_KEY,
  privateKey: readFileSync(env.WECHAT_PAY_PRIVATE_KEY, "utf8"),
  publicKey: readFileSync(env.WECHAT_PAY_PUBLIC_KEY, "utf8"),
  publicKeyId: env.WECHAT_PAY_PUBLIC_KEY_ID,
  certificate: readFileSync(env.MERCHANT_CERTIFICATE),
};

export async function lever(path, body) {
  const asked = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(`${base}/_sandbox/${path}`, asked);
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

export async function ear() {
  const heard = [];
  const waiting = [];
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      response.writeHead(204).end();
      const letter = { headers: request.headers, body: Buffer.concat(parts).toString("utf8") };
      (waiting.shift() ?? ((each) => heard.push(each)))(letter);
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return {
    url: `http://127.0.0.1:${server.address().port}/notify`,
    next: () => (heard.length ? Promise.resolve(heard.shift()) : new Promise((hear) => waiting.push(hear))),
    close: () => server.close(),
  };
}

export function number(prefix) {
  return `${prefix}${Date.now()}x${Math.floor(Math.random() * 1e6)}`;
}

export async function today() {
  const { now } = await lever("clock");
  const day = now.slice(0, 10);
  await lever(`bills/${day}/publish`, {});
  return day;
}

export function sha1(bytes) {
  return createHash("sha1").update(bytes).digest("hex");
}
