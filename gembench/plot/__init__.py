"""Pictures of a report: what is drawn (`panels`), as a PNG (`picture`), as a page to explore (`interactive`)."""
