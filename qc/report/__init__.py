"""The quality report: one JSON with every number, one HTML page and one contact sheet made from it."""
