"""Training of the bundled model: one loop, one file per trained thing."""
