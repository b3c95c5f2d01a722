"""Portraits: what one trained trial of each policy tells of every example, stored for the report.

After the studies are decided, the best trial of one study a policy is trained again, this time with a record
of every example's history and of what each epoch was fed. `choice` says which, `fed` keeps the feed,
`sitting` does it (and alone needs torch), `gallery` picks the examples to be shown, `store` keeps it.
"""
