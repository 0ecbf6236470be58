"""The WeChat world in a box: a program that behaves like ``api.mch.weixin.qq.com`` and ``api.weixin.qq.com``.

Context: code that takes money must be exercised against something that checks signatures, refuses, repeats and fails
like WeChat does, and WeChat offers no practice world for its API v3.
Decision: a separate program over real HTTP, with real RSA signatures and AES-GCM, its own virtual clock and faults on
demand; it imports nothing of the shop and nothing of the shop imports it.
Consequence: a mistake in the shop's cryptography is not repeated here, and any language's SDK may be pointed at it.
Alternative: fakes inside the test process, which accept whatever the author of the fake believed.
"""
