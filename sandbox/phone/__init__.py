"""The page that stands for the buyer's telephone."""
