"""What a worker does at its bench: train a trial, portray it, score, pick, time."""
