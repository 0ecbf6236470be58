"""What every HTTP edge shares: strict bodies, problem+json, request ids and the canonical line, who acts, health."""
