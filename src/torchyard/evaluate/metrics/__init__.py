"""What is measured of each kind of task: metrics as functions of what was counted."""
