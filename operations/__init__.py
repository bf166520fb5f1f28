"""What the operator does to live clusters, by kubectl: bring up, look at, and find addresses."""
