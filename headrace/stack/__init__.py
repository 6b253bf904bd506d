"""The local stack: started, kept alive, looked at, stopped."""
