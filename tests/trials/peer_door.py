"""The independent peer's door: HTTP in, signed HTTP out, and the ways in which an answer may fail to arrive."""

import json
import secrets
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from peer_wire import Refusal


class Door(BaseHTTPRequestHandler):
    """Made by `type('Door', (Door,), {'peer': peer})`."""

    peer: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._take("GET")

    def do_POST(self) -> None:
        self._take("POST")

    def _take(self, method: str) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        if url.path == "/sns/jscode2session":
            code = parse_qs(url.query)["js_code"][0]
            self._say(200, json.dumps({"openid": f"oPeer{code}", "session_key": "x" * 24}).encode(), {})
            return
        self.peer.calls.append((method, url.path, time.time()))
        fault = self.peer.fault(method, url.path)
        if fault and not fault.after:
            self._fail(fault)
            return
        try:
            self.peer.keys.check(self.peer.mchid, method, self.path, self.headers, raw)
            with self.peer.lock:
                status, answer = self.peer.answer(
                    method, url.path, parse_qs(url.query), json.loads(raw) if raw else None
                )
        except Refusal as refusal:
            body = json.dumps({"code": refusal.code, "message": refusal.message}).encode() if refusal.code else b""
            self._say(refusal.status, body, {})
            return
        if fault:
            self._fail(fault)
            return
        body = json.dumps(answer, ensure_ascii=False).encode() if answer is not None else b""
        self._say(status, body, self.peer.keys.signed(body) if body or self.peer.habits.sign_204 else {})

    def _fail(self, fault: Any) -> None:
        if fault.effect == "reset":
            self.close_connection = True
            self.connection.close()
        elif fault.effect == "html":
            self._say(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
        elif fault.effect == "forged":
            body = b'{"prepay_id":"wxforged","trade_state":"SUCCESS"}'
            self._say(200, body, self.peer.keys.signed(body, key=self.peer.keys.stranger))
        else:
            self._say(500, b'{"code":"SYSTEM_ERROR","message":""}', {})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        if self.peer.habits.request_id:
            self.send_header("Request-ID", f"08{secrets.token_hex(8).upper()}-0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
