"""Combined payment (合单): one tap of the payer, several sub-orders, all or nothing.

A sub-order is an ordinary order to refunds, bills and shares, but only the combination is queried, closed and paid.
"""
