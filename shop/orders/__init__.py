"""Checkout, orders, their payment and their end."""
