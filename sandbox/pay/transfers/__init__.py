"""Transfers to a user (商家转账, since 2025-01-15): the user confirms each one in WeChat before the money moves."""
