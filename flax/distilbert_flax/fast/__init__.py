"""What is only there to be fast; `DISTILBERT_FAST=0` switches it off."""
