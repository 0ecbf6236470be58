"""Checkout, orders, their payment and their end.

Context: an order moves through few states, and money and goods hang on each move. Decision: the legal moves are data
(`models.MOVES`), every move is one function that appends to the order's log (`history.move`). Closing an unpaid order
passes through `closing`, in which no new payment can be opened, because WeChat must be told and asked before goods go
back on sale. Alternative: cancelling at once and refunding whoever pays later; simpler, but it sells the same piece twice.
"""
