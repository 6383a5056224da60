"""Solution -> Lock: the package closure as of a date, one file and hash per package."""
