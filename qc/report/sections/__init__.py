"""One file per section of the report: each turns the inputs into plain JSON values and adds its headline figures."""
