"""What is counted of rows: one state of fixed size that merges exactly, and the batches that it is made of."""
