"""What PyTorch's own programming interface asks for, beside the model."""
