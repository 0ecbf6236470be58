"""Merchants outside the mainland: prices in the local currency, yuan from the payer, other paths and some other names."""
