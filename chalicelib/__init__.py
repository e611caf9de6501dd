"""Everything that ships to Lambda: the kernel, and one folder for each domain that stands on it."""
