"""Looking at a shop from outside, without changing anything: `doctor` asks whether it is set up well, `audit` whether its
books are right.
"""
