"""A pool becomes a subset: the plan, the rounds, what people are asked, and the runner."""
