"""``make bench``: how fast the shop is, measured from outside, beside what the same machine could do at most.

Context: a number of requests per second says nothing without its limit, its data and what was switched off.
Decision: real processes, real data, every check on; each workload runs by turns with its limit, in one session, and the
books are audited at the end.
Consequence: figures are ratios first; an absolute number belongs to the machine named beside it.
Alternative: timing functions in one process, which leaves out what costs most (round trips, commits, the scheduler).

It knows the shop by HTTP and by its tables, and imports none of it.
"""
