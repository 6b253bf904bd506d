"""What serving reports of itself and of the line behind it."""
