"""What was asked: experiment and search files, frozen and checked. Nothing here imports torch."""
