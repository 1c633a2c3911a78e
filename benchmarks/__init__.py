"""Benchmarks: `python -m benchmarks.run` measures Hegui and its peers and writes docs/performance.md."""
