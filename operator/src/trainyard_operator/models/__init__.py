"""Model: which version each alias holds, and why one does not hold what is wanted."""
