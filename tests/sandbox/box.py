"""A started sandbox with a merchant who signs with nothing of the sandbox's own code, and a place that hears notices."""

import itertools
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

ROOT = Path(__file__).parents[2]
_number = itertools.count(1)


class Box:
    """One ``python -m sandbox`` and everything a merchant knows about it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.arguments = arguments
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=10)
        self.start()

    def start(self) -> float:
        """Start, wait until ready, answer the seconds it took."""
        begun = time.monotonic()
        command = [sys.executable, "-W", "error", "-m", "sandbox", "--data-dir", str(self.folder)]
        command += ["--port", str(self.port), *self.arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        while True:
            assert self.process.poll() is None, "the sandbox ended at once"
            assert time.monotonic() - begun < 15, "the sandbox does not answer"
            try:
                if self.http.get("/_sandbox/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.02)
        took = time.monotonic() - begun
        lines = (self.folder / "merchant.env").read_text().splitlines()
        self.env = dict(shlex.split(line)[0].split("=", 1) for line in lines)
        self.key = load_pem_private_key(Path(self.env["WECHAT_PAY_PRIVATE_KEY"]).read_bytes(), None)
        return took

    def stop(self) -> None:
        """Ask it to end, and see that it does."""
        self.process.terminate()
        self.process.wait(5)

    @property
    def app_id(self) -> str:
        return self.env["WECHAT_APP_ID"]

    @property
    def mch_id(self) -> str:
        return self.env["WECHAT_PAY_MCH_ID"]

    def authorization(self, method: str, target: str, body: bytes = b"", **changes: str) -> str:
        """The Authorization header of a request, with some of its items changed before or after signing."""
        nonce = changes.pop("nonce_str", secrets.token_hex(16))
        timestamp = changes.pop("timestamp", str(int(time.time())))
        text = f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = b64encode(self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
        items = {"mchid": self.mch_id, "nonce_str": nonce, "signature": signature, "timestamp": timestamp}
        items |= {"serial_no": self.env["WECHAT_PAY_CERT_SERIAL"], **changes}
        return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in items.items())

    def pay_api(self, method: str, target: str, body: object = None, **headers: str) -> httpx.Response:
        """A signed call; ``body`` may be bytes, to be sent untouched."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        signed = {"Authorization": self.authorization(method, target, raw), "Content-Type": "application/json"}
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(method, target, content=raw, headers=signed | headers)

    def genuine(self, headers: httpx.Headers, body: bytes) -> bool:
        """Whether WeChat's signature stands under an answer or a notice."""
        serial = headers["wechatpay-serial"]
        if serial == self.env["WECHAT_PAY_PUBLIC_KEY_ID"]:
            key = load_pem_public_key(Path(self.env["WECHAT_PAY_PUBLIC_KEY"]).read_bytes())
        else:
            certificate = load_pem_x509_certificate((self.folder / "wechatpay_cert.pem").read_bytes())
            assert serial == f"{certificate.serial_number:X}"
            key = certificate.public_key()
        text = f"{headers['wechatpay-timestamp']}\n{headers['wechatpay-nonce']}\n".encode() + body + b"\n"
        key.verify(b64decode(headers["wechatpay-signature"]), text, padding.PKCS1v15(), hashes.SHA256())
        return True

    def lever(self, path: str, body: object = None) -> dict:
        """Pull a lever that is expected to move."""
        response = self.http.post(f"/_sandbox/{path}", json={} if body is None else body)
        assert response.is_success, response.text
        return response.json() if response.content else {}

    def look(self, path: str) -> dict:
        """Read something of the levers."""
        return self.http.get(f"/_sandbox/{path}").json()

    def openid(self, user: str = "alice") -> str:
        return self.lever("codes", {"kind": "login", "user": user})["openid"]

    def form(self, notify_url: str = "http://127.0.0.1:9/nobody", **changes: object) -> dict:
        """A valid JSAPI order with a number of its own."""
        return {
            "appid": self.app_id,
            "mchid": self.mch_id,
            "description": "手冲咖啡 x2",
            "out_trade_no": f"T{os.getpid()}x{next(_number)}x{secrets.token_hex(4)}",
            "notify_url": notify_url,
            "amount": {"total": 4200, "currency": "CNY"},
            "payer": {"openid": self.openid()},
        } | changes

    def ordered(self, notify_url: str = "http://127.0.0.1:9/nobody", **changes: object) -> str:
        """An order that waits to be paid; its number."""
        form = self.form(notify_url, **changes)
        response = self.pay_api("POST", "/v3/pay/transactions/jsapi", form)
        assert response.status_code == 200, response.text
        return form["out_trade_no"]

    def paid(self, notify_url: str = "http://127.0.0.1:9/nobody", **changes: object) -> str:
        """A paid order; its number."""
        number = self.ordered(notify_url, **changes)
        self.lever(f"payments/{number}/pay")
        return number

    def state(self, number: str) -> str:
        target = f"/v3/pay/transactions/out-trade-no/{number}?mchid={self.mch_id}"
        return self.pay_api("GET", target).json()["trade_state"]

    def refund_form(self, number: str, fen: int, **changes: object) -> dict:
        amount = {"refund": fen, "total": 4200, "currency": "CNY"}
        return {"out_trade_no": number, "out_refund_no": f"R{secrets.token_hex(8)}", "amount": amount} | changes

    def refund(self, number: str, fen: int, **changes: object) -> httpx.Response:
        return self.pay_api("POST", "/v3/refund/domestic/refunds", self.refund_form(number, fen, **changes))


class Inbox:
    """Where a merchant hears: answers with ``status`` and keeps everything."""

    def __init__(self) -> None:
        self.heard: list[tuple[httpx.Headers, bytes]] = []
        self.status = 204
        self.delay_s = 0.0
        self.location: str | None = None
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                inbox.heard.append((httpx.Headers(list(self.headers.items())), body))
                time.sleep(inbox.delay_s)
                self.send_response(inbox.status)
                if inbox.location:
                    self.send_header("Location", inbox.location)
                self.end_headers()
                if inbox.status not in {204, 304}:
                    self.wfile.write(b'{"code":"FAIL"}')

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/notify"

    def wait(self, count: int, within_s: float = 5) -> list[tuple[httpx.Headers, bytes]]:
        """The first ``count`` notices, as soon as they are here."""
        until = time.monotonic() + within_s
        while len(self.heard) < count:
            assert time.monotonic() < until, f"heard {len(self.heard)} of {count}"
            time.sleep(0.01)
        return self.heard[:count]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
