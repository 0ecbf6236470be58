"""What is for sale: products, SKUs, categories, stock, search, media. Knows no order and no member."""
