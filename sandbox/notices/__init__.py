"""What WeChat tells the merchant by itself: written when it happens, delivered until it is heard."""
