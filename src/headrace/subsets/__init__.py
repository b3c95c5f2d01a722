"""A subset of a training set: its file, its checksum, and its view of a workload."""
