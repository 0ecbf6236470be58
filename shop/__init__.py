"""Everything a buyer or an operator does with the store; `app.py` is the composition root."""
