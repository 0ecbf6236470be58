"""The bills: downloaded, kept, matched three ways with our payments and refunds and with what they paid for.

One day, from the clock to the report
    `wanting.want` writes down which bills are missing, from ten in the morning on → `download.fetch` asks WeChat for one,
    reads it to a temporary file, and `keeping.keep` believes it only when hash, counts and totals are right: file and rows
    are then stored in one transaction → `matching.match` compares in SQL, set against set, and what does not fit becomes a
    `BillDifference` → `repairing.repair` asks WeChat about what may only be late or lost → matched again →
    `closing.close`: fees and withdrawals are booked, the figures written down; what is left becomes a case.

Context: what a shop believes to have been paid and what WeChat settled drift apart silently. Decision: every row of both
bills is kept and compared with ours by the database, each difference has one row and one case. Consequence: a day can be
matched again at any time, and what is gone then is resolved by itself. Alternative: comparing the totals; equal sums hide
two errors.

A sub-merchant has no fund flow that its partner can read, a merchant overseas no bill at all: `wanting.kinds_of`.
"""
