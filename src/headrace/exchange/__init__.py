"""Results in and out: archives of batch science."""
