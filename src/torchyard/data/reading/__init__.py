"""Reading: files, folders, URLs and frames as chunks of rows. ``data.source`` is its face."""
