"""Reading tables that others wrote, and saying how they were understood."""
