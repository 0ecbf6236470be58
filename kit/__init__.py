"""The domain-free basement: database, errors, jobs, web, audit, money, clock, log.

It imports nothing of ours; everything above may lean on it.
"""
