"""Lists of rows, and the ways in and out of them: the one import reader, the one export writer."""
