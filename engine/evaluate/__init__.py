"""The evaluators: the reference is the meaning, the others agree with it or stop."""
