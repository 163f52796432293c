"""The files of a tokenizer: where they are (`paths`), what they say (`loading`), how they are written (`saving`).

`tokenizer_json` and `tokenizer_config` know the layout of these two files, `added_tokens` brings the tokens of all
files into one vocabulary, `tokenizer_class` refuses the files of tokenizers that cut texts otherwise.
"""
