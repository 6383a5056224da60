"""Read the names and signatures of a released package out of its sources, without importing any of it."""
