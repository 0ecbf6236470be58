"""The one place that speaks WeChat Pay API v3.

Context: the `wechatpayv3` package signs and seals well, but has 18 known defects, and no calls overseas. Decision: it
signs our requests and seals our secrets; `connection` sends them, and what WeChat says, answers and notifications alike,
is verified by `signature`. `merchant` says what is called otherwise for partners and overseas; callers see `Gateway`.
Consequence: the version is pinned, the defects that touch us are expected failures in the tests, and an upgrade that mends
one is noticed. Alternative: the package's client with its private attributes replaced; every defect had to be undone.
"""
