"""The independent peer's door: HTTP in, signed HTTP out, and the ways in which an answer may fail to arrive."""

import json
import secrets
import time
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from peer_wire import Refusal

_SILENT_S = 1.5
_HTML = {"html": 502, "html_200": 200, "html_404": 404}
_CODES = {
    "500": (500, "SYSTEM_ERROR"),
    "429": (429, "FREQUENCY_LIMITED"),
    "frequency_limited": (403, "FREQUENCY_LIMITED"),
}
_LIE = {
    "prepay_id": "wxforged",
    "trade_state": "SUCCESS",
    "status": "SUCCESS",
    "transaction_id": "4200000000000000000000000000",
    "success_time": "2026-01-01T08:01:09+08:00",
}
_MADE_UP: dict[str, dict[str, Any]] = {
    "forged": _LIE,
    "unsigned": _LIE,
    "unknown_state": {"prepay_id": None, "trade_state": "SLEEPING", "status": "SLEEPING"},  # rightly signed
}
EFFECTS = ("timeout", "reset", *_MADE_UP, *_HTML, *_CODES)
"""Before the work or after it: how an answer may fail to arrive, or not be one."""


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
        if fault and not fault.after and method != "GET":
            self._fail(fault, json.loads(raw))
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
            self._fail(fault, answer or {})
            return
        body = json.dumps(answer, ensure_ascii=False).encode() if answer is not None else b""
        self._say(status, body, self.peer.keys.signed(body) if body or self.peer.habits.sign_204 else {})

    def _fail(self, fault: Any, said: Any) -> None:
        """`said`: the right answer, or what was asked when nothing was done: the start of a lie that looks right."""
        if fault.effect == "reset":
            self.close_connection = True
            self.connection.close()
        elif fault.effect == "timeout":
            time.sleep(_SILENT_S)
            self.close_connection = True
        elif fault.effect in _HTML:
            self._say(_HTML[fault.effect], b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
        elif fault.effect in _MADE_UP:
            body = json.dumps({**said, **_MADE_UP[fault.effect]}, ensure_ascii=False).encode()
            stranger = fault.effect == "forged"
            headers = self.peer.keys.signed(body, key=self.peer.keys.stranger if stranger else None)
            self._say(200, body, {} if fault.effect == "unsigned" else headers)
        else:
            status, code = _CODES[fault.effect]
            self._say(status, json.dumps({"code": code, "message": ""}).encode(), {})

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
