"""The papers of a data set: its card, its Croissant description and its licence bill of materials."""
