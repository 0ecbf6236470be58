"""Watch a purchase, from sign-in to refund, by HTTP only; then an audit in SQL."""

from argparse import Namespace

from shop.demo import play


def run(_arguments: Namespace) -> None:
    raise SystemExit(play.run())
