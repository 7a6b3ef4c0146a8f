"""A data set packed into one file, which is read faster than its folders."""
