"""``envsolve try``: a person's own command in what was built, and, when it fails, what its error asks to change."""
