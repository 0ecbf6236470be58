"""Rooms for promotions and coupons; empty until they are built."""
