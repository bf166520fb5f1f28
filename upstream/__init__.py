"""Files of other projects: fetched by pinned URL, locked by sum, mirrored on this machine."""
