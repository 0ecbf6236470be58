"""A member's own data: all of it handed out, or erased.

Context: PIPL 45 and 47 give a member a copy and a deletion; E-commerce law 31 and accounting keep what was traded, when
and for how much. Decision: one registry of personal columns drives export, erasure and the test that searches a dump.
Consequence: a new text column must be sorted into the registry or out of it, or the tests fail. Alternative: deleting the
member's rows, which would take the ledger's and the tax office's proofs with them.
"""
