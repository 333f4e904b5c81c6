"""Files of ours under real processes: killed, out of room, many at once."""
