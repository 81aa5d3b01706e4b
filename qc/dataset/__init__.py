"""One file per question about a whole data set; pure functions on arrays and tables that return plain figures."""
