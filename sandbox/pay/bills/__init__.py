"""The day's bills: asked for by date, written once in WeChat's format, fetched by an address that lives five minutes."""
