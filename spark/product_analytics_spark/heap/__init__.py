"""Tables of Heap's dumps as a Spark data source."""
