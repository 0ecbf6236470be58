"""``python -m sandbox``: a simulated WeChat on loopback."""

import argparse
import asyncio
import fcntl
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO

LOCK_PATIENCE_S = 3.0


def main() -> None:
    """Parse the arguments, take the folder, serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A simulated WeChat: Pay v3 and platform.")
    data = Path(os.environ.get("SHOP_DATA_DIR", ".data")) / "sandbox"
    parser.add_argument("--data-dir", type=Path, default=data, help="keys and state (default %(default)s)")
    parser.add_argument("--port", type=int, default=int(os.environ.get("SANDBOX_PORT", "8001")))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--key-mode", choices=["public_key", "certificate", "both"], help="kept for later starts")
    # Pay at another gateway, with that account's appid, and only the platform here: then we are that Mini Program.
    ours = not os.environ.get("WECHAT_API_URL")
    parser.add_argument("--app-id", default=os.environ.get("WECHAT_APP_ID") if ours else None)
    parser.add_argument("--app-secret", default=os.environ.get("WECHAT_APP_SECRET") if ours else None)
    parser.add_argument("--partner", action="store_true", help="the merchant is a partner with one sub-merchant")
    parser.add_argument("--region", choices=["cn", "global"], help="where the merchant is; kept for later starts")
    parser.add_argument("--currency", metavar="HKD", help="what an overseas merchant's prices are in")
    options = parser.parse_args()
    _check_account(parser, options)
    os.umask(0o077)
    folder = options.data_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "lock").open("w") as lock:
        _take(lock, folder)
        _check_port(options.host, options.port)
        from sandbox.keyring import Account  # noqa: PLC0415 - as the next
        from sandbox.server import serve  # noqa: PLC0415 - a mistake in the arguments is told before the slow imports

        print(f"sandbox: http://{options.host}:{options.port}/phone  settings: {folder}/merchant.env", flush=True)
        account = Account(partner=options.partner, region=options.region, currency=options.currency)
        names = {"app_id": options.app_id, "app_secret": options.app_secret}
        asyncio.run(serve(folder, options.host, options.port, options.key_mode, account=account, **names))


def _check_account(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    abroad = options.region == "global"
    if options.partner and abroad:
        parser.error("--partner and --region global are two different merchants")
    currency = options.currency
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        parser.error("--currency takes three capital letters, such as HKD")
    if currency is not None and (currency == "CNY") == abroad:
        parser.error("--currency other than CNY goes with --region global, and only with it")


def _take(lock: IO[str], folder: Path) -> None:
    """One world, one process. One that is just ending is waited for."""
    until = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                sys.exit(f"sandbox: another one is running in {folder}")
            time.sleep(0.05)
        else:
            return


def _check_port(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as why:
            sys.exit(f"sandbox: cannot listen on {host}:{port}: {why.strerror}")


if __name__ == "__main__":
    main()
