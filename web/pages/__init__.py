"""The pages, one module each; what they look like is in `web/templates`."""
