"""A stand-in for the shop and the simulated WeChat, so that the launcher is tested by itself; and eyes for processes."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_SANDBOX = """
import http.server, os, pathlib
data = pathlib.Path(os.environ["SHOP_DATA_DIR"]) / "sandbox"
data.mkdir(exist_ok=True)
(data / "merchant.env").write_text("WECHAT_API_URL=http://127.0.0.1:1\\nWECHAT_APP_ID=wx1\\nWECHAT_PAY_URL=http://127.0.0.1:1\\nWECHAT_PAY_MCH_ID=19\\n")
class Door(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_sandbox/health" else 404); self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SANDBOX_PORT"])), Door).serve_forever()
"""

_SHOP = """
import http.server, os, pathlib, signal, subprocess, sys, time
data = pathlib.Path(os.environ["SHOP_DATA_DIR"])
command = sys.argv[1]
with (data / "commands").open("a") as file:
    file.write(command + "\\n")
(data / f"{command}.env").write_text("".join(f"{k}={v}\\n" for k, v in sorted(os.environ.items())))
if command == os.environ.get("FAKE_FAILS"):
    print("the last words of", command); sys.exit(3)
if command == "seed":
    (data / "operator.txt").write_text("operator a-password\\n")
if command == "serve":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # a straggler in the server's own group
    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404); self.end_headers()
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SHOP_PORT"])), Door).serve_forever()
if command == "work":
    if "FAKE_STUBBORN" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
"""


class World:
    """A folder with fake programs, a data folder, two free ports, and a mark all processes of this test carry."""

    def __init__(self, place: Path, ports: tuple[int, int]) -> None:
        self.place = place
        self.data = place / "data"
        self.mark = uuid.uuid4().hex
        self.shop_port, self.sandbox_port = ports
        self.runs: list[Run] = []
        for name, text in (("sandbox", _SANDBOX), ("shop", _SHOP)):
            (place / name).mkdir()
            (place / name / "__init__.py").touch()
            (place / name / "__main__.py").write_text(text)

    def environment(self, **more: str) -> dict[str, str]:
        mine = {
            name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "DATABASE_", "WECHAT_"))
        }
        mine |= {"SHOP_DATA_DIR": str(self.data), "PYTHONPATH": str(ROOT), "WORLD_MARK": self.mark}
        return mine | {"SHOP_PORT": str(self.shop_port), "SANDBOX_PORT": str(self.sandbox_port)} | more

    def launch(self, *arguments: str, before: tuple[str, ...] = (), **more: str) -> "Run":
        """Start the launcher, through the command ``before`` if one is given, with ``more`` in its environment."""
        argv = [*before, sys.executable, "-m", "dev.run", *arguments]
        environment = self.environment(**more)
        run = Run(self, subprocess.Popen(argv, cwd=self.place, env=environment, stdout=-1, stderr=-2, text=True))
        self.runs.append(run)
        return run

    def commands(self) -> list[str]:
        """Return the shop's commands so far, in order."""
        return (self.data / "commands").read_text().split()

    def given(self, command: str) -> dict[str, str]:
        """Return the environment that a command of the shop was given."""
        lines = (self.data / f"{command}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def processes(self) -> dict[int, str]:
        """Return pid → command of every living process that carries our mark or works in our folder."""
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            try:
                marked = self.mark.encode() in (entry / "environ").read_bytes()
                inside = (entry / "cwd").readlink().is_relative_to(self.place)
                if marked or inside:
                    found[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    )
            except OSError:
                continue
        return found

    def all_gone(self, seconds: float = 10) -> dict[int, str]:
        """Wait for the processes to go and return those that did not."""
        deadline = time.monotonic() + seconds
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.shop_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Run:
    """One launcher at work."""

    def __init__(self, world: World, process: subprocess.Popen[str]) -> None:
        self.world = world
        self.process = process

    def ready(self, seconds: float = 20) -> dict[str, object]:
        """Wait for run.json and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                facts = dict(json.loads((self.world.data / "run.json").read_text()))
            except (OSError, ValueError):
                facts = {}
            if facts.get("pid") == self.process.pid:  # a killed run leaves its own behind
                return facts
            time.sleep(0.03)
        self.process.kill()
        raise AssertionError(f"not ready: {self.process.communicate()[0]}")

    def ends(self, seconds: float = 30) -> tuple[int, str]:
        """Wait for the end and return the exit code and everything it said."""
        said, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, said

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
