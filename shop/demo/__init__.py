"""`python -m shop demo`: a buyer and an operator, by HTTP only, then an audit in SQL."""
