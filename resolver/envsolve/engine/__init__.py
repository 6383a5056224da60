"""Build and run what was rendered: a container engine, or a local prefix without a daemon."""
