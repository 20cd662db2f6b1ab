"""ODEFormer: tokens, random ODE systems, the model and its training."""
