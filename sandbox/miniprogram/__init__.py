"""The Mini Program's server API of ``api.weixin.qq.com``: login, access tokens, phone numbers."""
