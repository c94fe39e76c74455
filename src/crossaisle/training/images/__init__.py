"""Export of image encoders, and training of the alignment of pictures with titles."""
