"""The one place that speaks WeChat Pay API v3.

Context: the `wechatpayv3` package signs and sends requests well, but has 18 known defects. Decision: requests go through
it behind `Gateway`; what WeChat tells us is verified by our own code (`notification`), because the package's `callback()`
accepts year-old replays and lets one forged serial empty its certificates. Consequence: the version is pinned, and tests
fail when a private attribute that we set disappears. Alternative: our own client on httpx; kept possible by `Gateway`.
"""
