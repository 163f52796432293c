"""What Keras asks of a model beside its numbers: calling styles, `fit`, data, export, quantizing, serialization."""
