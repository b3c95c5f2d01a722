"""What `headrace init` copies: a workload for each kind of data, which runs as it is, on made-up data."""
