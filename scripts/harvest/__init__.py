"""Reading facts out of released wheels over HTTP ranges: see ``../harvest_wheels.py``."""
