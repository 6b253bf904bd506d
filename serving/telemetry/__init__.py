"""What serving reports about itself and about the pipeline behind it."""
