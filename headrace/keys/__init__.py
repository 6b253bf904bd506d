"""`headrace keys …`: the keys of the API."""
