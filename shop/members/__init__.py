"""People who buy: sign-in, identities, addresses."""
