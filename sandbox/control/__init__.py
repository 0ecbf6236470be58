"""The levers of this world, under ``/_sandbox/``: not part of WeChat, open to loopback only."""
