"""`headrace models`: versions, aliases, challengers, rollback."""
