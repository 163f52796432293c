"""What the API of Flax and JAX asks for: calls with parameters of their own, static configs."""
