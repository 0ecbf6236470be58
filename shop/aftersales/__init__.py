"""Refunds of order lines."""
