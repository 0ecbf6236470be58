"""Clients of `api.weixin.qq.com`: sign-in, phone numbers, access tokens."""
