"""The files of a tokenizer: where they are (`paths`), and what they say (`loading`).

`tokenizer_json` and `tokenizer_config` know the layout of these two files, `added_tokens` brings the tokens of all
files into one vocabulary.
"""
