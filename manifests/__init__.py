"""What is asked for and what was made: rows, plans, vocabularies, records; no pixels are touched here."""
