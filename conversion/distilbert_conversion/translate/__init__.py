"""Checkpoints that another program named: BERT's, KerasHub's, and those of training wrappers, as a DistilBERT's."""
