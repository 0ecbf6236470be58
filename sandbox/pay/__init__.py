"""WeChat Pay API v3: who may call, what they may ask, and what becomes of the money."""
