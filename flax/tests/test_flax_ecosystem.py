"""Our models inside JAX's ecosystem: optimizers, checkpoints, devices, transformations."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx, serialization
from flax.training.train_state import TrainState
from jax import export

from distilbert_flax import FlaxDistilBertForMaskedLM, FlaxDistilBertForSequenceClassification
from parity_tests.helpers import golden

SOURCE = golden.GOLDEN / "micro" / "ForSequenceClassification" / "pt"
BATCH = golden.inputs(golden.GOLDEN / "micro", "ForSequenceClassification")
Model = FlaxDistilBertForSequenceClassification


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.from_pretrained(SOURCE, sinusoidal_pos_embds=True)


def loss_of(model: Model, params: Any, **options: Any) -> jax.Array:
    return model(**BATCH, params=params, **options).loss


def same(one: Any, other: Any) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


def trained(model: Model, params: Any, optimizer: optax.GradientTransformation, steps: int = 3) -> Any:
    """Return the parameters after some steps under `jax.jit`, and the losses."""

    @jax.jit
    def step(params: Any, state: Any) -> tuple[Any, Any, jax.Array]:
        loss, gradients = jax.value_and_grad(partial(loss_of, model))(params)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    state, losses = optimizer.init(params), []
    for _ in range(steps):
        params, state, loss = step(params, state)
        losses.append(float(loss))
    return params, losses


def test_optax_with_a_mask_and_with_several_transforms(model: Model) -> None:
    params = model.params
    masked, losses = trained(model, params, optax.adamw(1e-2, weight_decay=0.1, mask=model.trainable_mask))
    assert losses[-1] < losses[0]
    table = ("distilbert", "embeddings", "position_embeddings", "embedding")
    value = [masked, params]
    for name in table:
        value = [tree[name] for tree in value]
    assert np.array_equal(*value), "the frozen table is not decayed"
    labels = {name: jax.tree.map(lambda _, n=name: n, tree) for name, tree in params.items()}
    kinds = {"distilbert": optax.set_to_zero(), "pre_classifier": optax.sgd(0.1), "classifier": optax.adam(1e-2)}
    partly, losses = trained(model, params, optax.multi_transform(kinds, labels))
    assert losses[-1] < losses[0]
    assert same(partly["distilbert"], params["distilbert"])
    assert not np.array_equal(partly["classifier"]["kernel"], params["classifier"]["kernel"])


def test_train_state_of_linen_and_msgpack_bytes(model: Model) -> None:
    state = TrainState.create(apply_fn=model.__call__, params=model.params, tx=optax.sgd(0.1))
    gradients = jax.grad(lambda params: state.apply_fn(**BATCH, params=params).loss)(state.params)
    after = state.apply_gradients(grads=gradients)
    assert loss_of(model, after.params) < loss_of(model, state.params)
    restored = serialization.from_bytes(state, serialization.to_bytes(after))
    assert same(restored.params, after.params)
    assert same(serialization.from_state_dict(model.params, serialization.to_state_dict(after.params)), after.params)


def test_orbax_saves_and_restores_params_and_state(model: Model, tmp_path: Path) -> None:
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "params", model.params)
        graphdef, state = nnx.split(model)
        checkpointer.save(tmp_path / "state", nnx.to_pure_dict(nnx.state(model, nnx.Not(nnx.RngState))))
        checkpointer.wait_until_finished()
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, model.params)
        assert same(checkpointer.restore(tmp_path / "params", abstract), model.params)
        empty = Model(model.config, seed=5)
        values = nnx.state(empty, nnx.Not(nnx.RngState))
        nnx.replace_by_pure_dict(values, checkpointer.restore(tmp_path / "state", nnx.to_pure_dict(values)))
        nnx.update(empty, values)
    assert same(empty(**BATCH).logits, model(**BATCH).logits)
    assert nnx.merge(graphdef, state)(**BATCH).logits.shape == (2, 5)


def test_nnx_sees_an_ordinary_module(model: Model) -> None:
    table = nnx.tabulate(model, jnp.ones((1, 4), jnp.int32), depth=2, console_kwargs={"width": 240})
    for name in ("distilbert", "pre_classifier", "classifier", "embeddings", "transformer"):
        assert name in table
    twin = nnx.clone(model)
    optimizer = nnx.Optimizer(twin, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(model: Model, optimizer: nnx.Optimizer) -> jax.Array:
        loss, gradients = nnx.value_and_grad(lambda model: model(**BATCH).loss)(model)
        optimizer.update(model, gradients)
        return loss

    losses = [float(step(twin, optimizer)) for _ in range(3)]
    assert losses[-1] < losses[0]
    assert not same(twin.params, model.params)


def test_scan_over_steps_vmap_over_models_and_remat(model: Model) -> None:
    params = model.params

    def step(params: Any, _: None) -> tuple[Any, jax.Array]:
        loss, gradients = jax.value_and_grad(jax.remat(partial(loss_of, model)))(params)
        return jax.tree.map(lambda value, gradient: value - 0.1 * gradient, params, gradients), loss

    final, losses = jax.jit(lambda params: jax.lax.scan(step, params, None, length=3))(params)
    _, expected = trained(model, params, optax.sgd(0.1))
    assert np.allclose(losses, expected, atol=1e-5)
    both = jax.tree.map(lambda *x: jnp.stack(x), params, final)
    each = jax.jit(jax.vmap(partial(loss_of, model)))(both)
    assert np.allclose(each, [loss_of(model, params), loss_of(model, final)], atol=1e-5)


def test_a_call_is_exported_and_read_back(model: Model) -> None:
    inputs = {name: jnp.asarray(BATCH[name]) for name in ("input_ids", "attention_mask")}
    call = jax.jit(lambda params, inputs: model(**inputs, params=params).logits)
    read = export.deserialize(export.export(call)(model.params, inputs).serialize())
    assert np.allclose(read.call(model.params, inputs), model(**inputs).logits, atol=1e-5)


SHARDED = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from distilbert_flax import FlaxDistilBertForMaskedLM
model = FlaxDistilBertForMaskedLM.from_pretrained({source!r})
ids, labels = np.arange(1, 17).reshape(2, 8), np.arange(2, 18).reshape(2, 8)
plain, loss = model(ids).logits, model(ids, labels=labels).loss
mesh = Mesh(np.array(jax.devices()), ("data",))
assert mesh.size == 2
split = NamedSharding(mesh, P("data"))
wide = lambda x: split if x.ndim == 2 and x.shape[0] % 2 == 0 else NamedSharding(mesh, P())
params = jax.device_put(model.params, jax.tree.map(wide, model.params))
batch = {{"input_ids": jax.device_put(ids, split), "labels": jax.device_put(labels, split)}}
for given in ({{"params": params}}, {{}}):
    if not given:
        model.params = params
    assert np.allclose(model(ids, **given).logits, plain, atol=1e-5)
    assert np.allclose(model(**batch, **given).loss, loss, atol=1e-5)
step = jax.jit(jax.grad(lambda params, batch: model(**batch, params=params).loss))
gradients = step(params, batch)
kernel = gradients["vocab_transform"]["kernel"]
assert len(kernel.sharding.device_set) == 2
print("sharded")
"""


def test_params_and_batches_lie_on_several_devices() -> None:
    source = str(golden.GOLDEN / "micro" / "ForMaskedLM" / "pt")
    assert FlaxDistilBertForMaskedLM.from_pretrained(source).config.vocab_size % 2 == 0
    import os

    flags = {
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", SHARDED.format(source=source)]
    done = subprocess.run(command, env={**os.environ, **flags}, capture_output=True, text=True)
    assert done.stdout.split() == ["sharded"], done.stderr
