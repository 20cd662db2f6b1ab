"""ODE systems to train and test on, and their trajectories: one to six dimensions."""
