"""Who may ask for what: keys, certificates, and which door leads where."""
