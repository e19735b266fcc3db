"""The page at `/`: explorer, timeline, playground, and the gateway that keeps credentials."""
