"""Money out: transfers to a user, shares of a payment for others, and what customs is told of one.

Every noun is pursued alike. Its intent row is committed first, with the number that WeChat will know it by; `pursue` (a job,
and the worker's sweep) asks WeChat by that number if it was tried before, sends it if WeChat has none of it, and hands
what it hears to `learn`, which locks the row, compares, moves it on and books it. A notification goes to `learn` too.
So a lost answer, a kill between any two steps and news that comes twice or in the wrong order all end the same way.

Context: a payout that is sent twice is gone. Decision: one number per cause, given before anything is sent, and never a
new one while the outcome of the old is unknown. Consequence: an uncertain payout stays where it is until WeChat says.
Alternative: give up after some time and begin anew; it pays twice.

Locks: payment → share → its returns; a transfer, a receiver and a declaration each by themselves.
"""
