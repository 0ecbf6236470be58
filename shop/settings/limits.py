"""How often one address, one member, one account of the staff may ask, in each process."""

import re
from dataclasses import dataclass
from typing import Final

from shop.settings.reading import Reader

Rate = tuple[float, int]
"""So many a second, so many at once."""
_FORM: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)/([0-9]{1,6})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """`None`: no limit."""

    address: Rate | None = None
    """Requests of one address on the internet; a mobile carrier has thousands of buyers behind one."""
    address_writes: Rate | None = None
    """Of those what changes something: sign-in codes of members, passwords of staff."""
    member: Rate | None = None
    member_writes: Rate | None = None
    member_orders: Rate | None = None
    """Orders that a member places, paid or not: each is kept, and holds its goods until it is paid or closed."""
    member_exports: Rate | None = None
    """How often a member has a copy made of all that is known of them."""
    staff: Rate | None = None
    exports: Rate | None = None
    """What staff download."""


IN_PRODUCTION: Final = LimitSettings(
    address=(200, 2000),
    address_writes=(50, 500),
    member=(20, 100),
    member_writes=(5, 30),
    member_orders=(0.02, 40),
    member_exports=(0.005, 3),
    staff=(20, 200),
    exports=(0.2, 20),
)


def read(reader: Reader, *, dev: bool) -> LimitSettings:
    """In dev none but those that are asked for: one machine is every buyer, and measures how fast it is."""
    usual = LimitSettings() if dev else IN_PRODUCTION
    return LimitSettings(
        **{name: _rate(reader, f"SHOP_LIMIT_{name.upper()}", getattr(usual, name)) for name in usual.__annotations__}
    )


def _rate(reader: Reader, name: str, usual: Rate | None) -> Rate | None:
    text = reader.maybe(name)
    if text is None:
        return usual
    if text == "none":
        return None
    found = _FORM.fullmatch(text)
    if found is None or not float(found[1]) or not int(found[2]):
        reader.mistakes.append(f"{name} must be like 20/100 (so many a second, so many at once) or none, not {text!r}")
        return usual
    return float(found[1]), int(found[2])
