"""Profit sharing (分账): money of an order is frozen when it comes, and shared, unfrozen and given back from there."""
