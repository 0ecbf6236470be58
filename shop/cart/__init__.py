"""What a member means to buy."""
