"""Staff: sign-in, roles, the guarded router, the audit log."""
