"""What is for sale: products, SKUs, categories, stock, search, media. Knows no order and no member.

Context: buyers read lists and pages a thousand times for each change; stock changes with every order.
Decision: reads are one explicit SQL statement each, writes go through the ORM; stock has its own narrow table, moved by
one statement that locks in SKU order; a product carries what its list needs (price range, words, pieces sold).
Consequence: lists run on one index, nobody oversells, every counter can be proved from its movements; figures of
popularity run some minutes behind. Alternative: counters on the product or SKU row, which every order would rewrite.
"""
