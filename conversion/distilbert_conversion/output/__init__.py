"""The folder that is written: all of it or nothing, with config and tokenizer, without an earlier save's weights."""
