"""What this server answers now, for people and for programs: OpenAPI and a page."""
