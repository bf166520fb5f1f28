"""Writes what documents and editors take from the code, so that it is true in every fork."""
