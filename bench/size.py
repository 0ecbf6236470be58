"""How much there is of what."""

from dataclasses import dataclass

SKUS = 3
"""Of each product; product `p` has the SKUs 3p-2 … 3p."""


@dataclass(frozen=True)
class Size:
    """A data set. The first `signed_in` members have a session, and order more often than the others."""

    products: int
    orders: int
    members: int
    signed_in: int

    @property
    def skus(self) -> int:
        """How many can be bought."""
        return self.products * SKUS
