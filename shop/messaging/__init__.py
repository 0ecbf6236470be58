"""Rooms for messages to members; empty until they are built."""
