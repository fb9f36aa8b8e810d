"""Numbers in words, in JSON and in pictures of Matplotlib."""
