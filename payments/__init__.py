"""Money in, money back: WeChat Pay charges, notifications, refunds. Knows no order and no member.

What a payment is for is an opaque text, `payable`; who must be told implements `payments.ports.Payee`.
"""
