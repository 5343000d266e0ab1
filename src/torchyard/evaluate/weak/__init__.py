"""The search for rows that are answered worst."""
