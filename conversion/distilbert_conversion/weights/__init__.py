"""What a weight is: its row in the table, its name in each dialect, and its values, which are read when asked for."""
