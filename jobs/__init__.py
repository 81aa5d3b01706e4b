"""Everything that talks to people or machines: recipes, the command line, workers, shards and the order they run in."""
