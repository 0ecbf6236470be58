"""What the shop is filled with before it is measured: goods, people, and two years of orders, in set-based SQL."""
