"""From files, data frames and arrays to batches."""
