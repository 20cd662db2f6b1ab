"""The transformer that reads trajectories and writes equations."""
