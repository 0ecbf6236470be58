"""Checkout, orders, their payment and their end.

An order, from the wish to the shelf
    `checkout_controllers.place_order` hands it to `placing`, which deals with all who wait at the same moment: `drafts`
    reads what decides, `checkout.judge` (pure) prices each wish and compares it with what the member saw, `inking` writes
    keys, orders, lines and log and reserves the goods in one statement that is its own transaction →
    `paying.open_sheet` (several orders: `paying_together`; at the counter: `till`) commits the attempt's intent, then asks
    WeChat → `payee.paid` (called by payments, inside the
    transaction that settles the money) sells the reserved goods → `parcels` ships and receives. Unpaid: `closing` tells
    WeChat, asks it, and only then gives the goods back; `worker.close_orders` does it when time is over. `repricing` ends
    the live attempt in the same way before another price holds.

Context: an order moves through few states, and money and goods hang on each move. Decision: the legal moves are data
(`models.MOVES`), every move is one function that appends to the order's log (`history.move`). Closing an unpaid order
passes through `closing`, in which no new payment can be opened, because WeChat must be told and asked before goods go
back on sale. Alternative: cancelling at once and refunding whoever pays later; simpler, but it sells the same piece twice.
"""
