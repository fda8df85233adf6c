"""WSGCN: image tags to segmentation masks. The library behind the workflow's scripts.

Plain Python on numpy arrays and torch tensors. Only `workflow` knows Snakemake, and only `tracking` knows
MLflow. Throughout: class 0 is background, foreground classes count from 1, and 255 marks
pixels without a label.
"""
