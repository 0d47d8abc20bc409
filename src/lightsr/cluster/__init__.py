"""Folders and object stores of pictures over Ray Data, on one machine or many.

`lightsr.cluster.run.upscale` does what `lightsr cluster upscale` does. Ray is imported only where
a run begins.
"""
