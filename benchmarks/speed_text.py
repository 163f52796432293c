"""The words of the speed benchmark's page."""

TEXT = """# Speed

Written by `make bench`. Ours and the peer's run in turn, round by round, each in a process that stays; medians, and of
the ratios the least and the most. Each row checks that both gave the same numbers. The model is full-size (6 layers,
768 wide, 12 heads, 30,522 words), float32 where no other type is named, with random weights; the texts are real.

- PyTorch: `model(...)` under `torch.inference_mode()`, against transformers {pt[transformers]}; "prepacked" is after
  `model.prepack_weights()`.
- "by XLA": our Keras model in a `tf.function(jit_compile=True)`, which compiles for seconds at each new size.
- Keras: our plain call, which is compiled by default, against transformers {tf[transformers]} in a `tf.function` that
  leaves sizes open, on tf-keras; training by `train_on_batch`, ours on packed sentences with `jit_compile=True`.
- Flax: our plain call, which is compiled by default, against transformers {tf[transformers]} under `jax.jit`
  ("unjitted": its plain call); training under `jax.jit`, ours on packed sentences.
- Texts: sentences of SST-2; paragraphs of XQuAD, end to end, where rows are full; WikiText-2 for the masked-LM step.
  AdamW takes the steps: in PyTorch the fused one on both sides, as in transformers' `Trainer`; in JAX the
  state is donated on both sides.
- sentence-transformers {pt[sentence-transformers]}: `encode`, which sorts by length, mean of the tokens; ours
  tokenizes, packs rows of 128 and takes the same mean. ONNX Runtime {pt[onnxruntime]}: transformers' model, exported.
  KerasHub {tf[keras-hub]}: its backbone in a `tf.function`; first tokens are compared.

{table}

![how many times as fast as the peer](benchmarks.png)

"Memory" is the most that the process held during a round, MB, ours and the peer's.

Measured on {processor}, {cores} cores ({flags}), Python {python}, {versions}.

## Our three frameworks side by side

{side}

## How near to the processor's limit

What a matrix product of 4096 x 768 x 3072 reaches alone, and what the whole model reaches on 32 texts of 128 tokens.

{shares}

The 36 products of one call alone, each with a matrix of its own, beside the call: what is left is attention,
normalisation, activations and the call itself, and a peer that multiplies as fast can be beaten in that only.
A step's are three times as many: each layer's, and those of its two gradients.

{products}

## Start-up

Import and `from_pretrained` in a fresh process, beside the import of the framework alone, which neither can avoid.

{start}

## Growth

{growth}

![time for one token against the number of operations](benchmarks-growth.png)

## Where the time goes

- PyTorch multiplies float32 by MKL, which leaves AVX-512 unused on processors of other makers than Intel. Ours takes
  oneDNN, which is in every PyTorch for x86; on Intel the two are alike, and these ratios will be smaller there.
- A padded batch runs on its real tokens only: in PyTorch sequence after sequence, in Keras and Flax packed into rows.
- Short inputs are bound by reading the weights. `prepack_weights` keeps them as oneDNN reads them fastest.
- `loss_only=True` projects labelled positions only: the masked-LM step skips 85 % of its largest product.
- Flax on a CPU: XLA takes new memory at each call for what layers hand to each other, and a large batch's is larger
  than the caches. A compiled call runs the layers on 1,024 tokens at a time.
- Training keeps no value of the activation, which is cheap to compute again; in Flax the softmax's sum divides after
  the product, as in FlashAttention, whose backward pass has no sum over the scores.
{gpu}
## Where we do not reach the goal

{lost}

What holds it back, and what was tried:

- One text: the products alone take most of a call, by the same libraries on both sides. Ours adds a look over the
  model, which keeps compiled calls right after a change to it, and a check of the ids. In Keras a graph of fixed sizes
  gains little over one of open sizes; XLA gains more ("by XLA"), but compiles for seconds at each new size. LayerNorm
  by `tf.nn.batch_normalization` was slower. One product for query, key and value gained nothing in Flax, whose three
  run side by side, and 5 % at most in PyTorch, for 20 tokens and prepacked: not enough for a second copy of weights.
- Flax at 128 tokens: the products bound how far compiling can outrun the plain call. Of XLA's options for the CPU,
  oneDNN, XNNPACK and the vector width changed nothing; without its library YNN
  (`xla_cpu_experimental_ynn_fusion_type`) up to 24 tokens take less time, and 32 to 128 tokens more.
- Padding: what transformers computes for nothing bounds what can be gained. Packing in Keras and Flax pays for rows
  that are not quite full, and for taking tokens out and putting them back.
- Training in Flax and Keras: the products of a step alone are in the table above. The rest is mostly values that lie
  in memory between two passes, and AdamW over 66 million weights, of which the word table's gradient is filled as a
  whole. In Flax, XLA without YNN took longer; attention computed again row by row took less memory and more time; a
  LayerNorm of our own gained nothing in the masked-LM step. In Keras, the softmax's division after the product gained
  nothing.
- The masked-LM step's memory: weights, gradients and AdamW's two moments of 66 million float32 are 1.06 GB on both
  sides, and the framework is in memory too. Checkpointing in PyTorch trades the rest for time; XLA undoes it on CPUs.
- bfloat16: a product takes the same time on both sides, and takes most of it.
- Start-up in Keras: importing TensorFlow and Keras alone takes more than half of transformers' whole start.
- Growth: one text reads all weights for few tokens, so that its time for one token is higher.
"""
