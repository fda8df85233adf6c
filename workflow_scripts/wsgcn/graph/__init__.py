"""The graph of an image: its grid, the affinities between its nodes as a stencil, walks over it, the operator Â."""
