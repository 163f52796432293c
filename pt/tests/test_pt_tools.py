"""Tools that look into a model: they find PyTorch's own layers, replace them, watch them and trace them."""

from __future__ import annotations

import copy
import io
from collections import Counter
from collections.abc import Callable
from inspect import Parameter, signature

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import distilbert_pt
from distilbert_pt import DistilBertConfig, DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel

CONFIG = DistilBertConfig(
    vocab_size=60, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=16, num_labels=3,
    initializer_range=0.2, dropout=0.0, attention_dropout=0.0, seq_classif_dropout=0.0,
)  # fmt: skip
MASK = torch.tensor([[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]])
IDS = (torch.arange(18).reshape(3, 6) + 5) * MASK
LABELS = torch.tensor([0, 2, 1])


def model(cls: type[nn.Module] = DistilBertForSequenceClassification) -> nn.Module:
    torch.manual_seed(0)
    return cls(CONFIG.updated()).eval()


def logits(of: nn.Module) -> Tensor:
    return of(IDS, MASK).logits


def test_every_layer_is_exactly_pytorchs_own() -> None:
    own = Counter(type(module) for module in model().modules() if not list(module.children()))
    assert own == {nn.Linear: 14, nn.LayerNorm: 5, nn.Embedding: 2, nn.Dropout: 4}


@pytest.mark.filterwarnings("ignore")  # PyTorch tells that this will move to another package
def test_dynamic_quantization_takes_every_linear_layer() -> None:
    plain = model()
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(plain), {nn.Linear})
    kinds = Counter(type(module) for module in quantized.modules())
    assert kinds[nn.Linear] == 0
    assert kinds[torch.ao.nn.quantized.dynamic.Linear] == 14
    difference = (logits(quantized) - logits(plain)).abs().max()
    assert 0 < difference < 0.1 * logits(plain).abs().max()


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_masked_lm_still_has_its_loss() -> None:
    plain, labels = model(DistilBertForMaskedLM), IDS.where(IDS % 2 == 1, -100)
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(plain), {nn.Linear})
    loss = quantized(IDS, MASK, labels=labels, loss_only=True).loss
    assert torch.allclose(loss, plain(IDS, MASK, labels=labels).loss, rtol=0.05)


class Adapted(nn.Module):
    """A low-rank change beside a layer, with none of its attributes."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.base, self.down = layer, nn.Linear(layer.in_features, 2, bias=False)
        self.up = nn.Linear(2, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


def wrapped(of: nn.Module, wrap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Return the model with every linear layer and embedding replaced."""
    for module in list(of.modules()):
        for name, child in list(module.named_children()):
            if type(child) in (nn.Linear, nn.Embedding):
                setattr(module, name, wrap(child))
    return of


def test_every_layer_may_be_replaced() -> None:
    replaced = wrapped(model(), nn.Sequential)
    assert torch.allclose(logits(replaced), logits(model()), atol=1e-5)
    replaced.train()(IDS, MASK, labels=LABELS).loss.backward()
    assert all(parameter.grad is not None for parameter in replaced.parameters())


@pytest.mark.parametrize("cls", [DistilBertForSequenceClassification, DistilBertForMaskedLM])
def test_adapters_train_alone(cls: type[nn.Module]) -> None:
    adapted, labels = model(cls), LABELS if cls is DistilBertForSequenceClassification else IDS
    for parameter in adapted.parameters():
        parameter.requires_grad = False
    wrapped(adapted, lambda layer: Adapted(layer) if type(layer) is nn.Linear else layer)
    assert torch.allclose(logits(adapted), logits(model(cls)), atol=1e-5)
    adapted.train()(IDS, MASK, labels=labels).loss.backward()
    trained = {name.split(".")[-2] for name, parameter in adapted.named_parameters() if parameter.grad is not None}
    assert trained == {"up", "down"}


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
    ],
    ids=["pruned", "weight norm", "spectral norm", "orthogonal"],
)
def test_what_changes_a_weight_acts(change: Callable[[nn.Linear], object]) -> None:
    changed = model()
    for layer in (changed.distilbert.transformer.layer[0].ffn.lin1, changed.distilbert.transformer.layer[1].ffn.lin2):
        change(layer)
    fast = logits(changed)
    for module in changed.modules():  # a hook that does nothing: every layer is called
        module.register_forward_hook(lambda *_: None)
    assert torch.allclose(fast, logits(changed), atol=1e-5)
    changed.train()(IDS, MASK, labels=LABELS).loss.backward()


def test_hooks_see_every_module_with_padding_in_place() -> None:
    watched, outputs = model(), {}
    for name, module in watched.named_modules():
        module.register_forward_hook(lambda module, x, y, name=name: outputs.update({name: y}))
    assert torch.allclose(logits(watched), logits(model()), atol=1e-5)
    names = {name for name, module in watched.named_modules() if not isinstance(module, nn.ModuleList)}
    assert set(outputs) == names
    assert outputs["distilbert.transformer.layer.1.ffn.lin1"].shape == (3, 6, 64)
    assert outputs["distilbert.embeddings"].shape == (3, 6, 32)


def test_hooks_give_gradients_of_each_sample() -> None:
    watched, inputs, gradients = model().train(), {}, {}
    layer = watched.distilbert.transformer.layer[0].ffn.lin1
    layer.register_forward_hook(lambda module, x, y: inputs.update(x=x[0]))
    layer.register_full_backward_hook(lambda module, dx, dy: gradients.update(y=dy[0]))
    watched(IDS, MASK, labels=LABELS).loss.backward()
    each = torch.einsum("bso,bsi->boi", gradients["y"], inputs["x"])  # (batch, hidden_dim, dim)
    assert each.shape == (3, 64, 32)
    assert torch.allclose(each.sum(dim=0), layer.weight.grad, atol=1e-6)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_function_transforms_give_gradients_of_each_sample() -> None:
    plain = model()

    def loss(parameters: dict[str, Tensor], ids: Tensor, mask: Tensor, label: Tensor) -> Tensor:
        arguments = {"attention_mask": mask[None], "labels": label[None]}
        return torch.func.functional_call(plain, parameters, (ids[None],), arguments).loss

    parameters = dict(plain.named_parameters())
    each = torch.vmap(torch.func.grad(loss), in_dims=(None, 0, 0, 0))(parameters, IDS, MASK, LABELS)
    plain(IDS, MASK, labels=LABELS).loss.backward()
    for name, parameter in plain.named_parameters():
        assert torch.allclose(each[name].mean(dim=0), parameter.grad, atol=1e-5), name


def test_fx_traces_the_bare_model() -> None:
    bare = model(DistilBertModel)
    defaults = {name: parameter.default for name, parameter in signature(bare.forward).parameters.items()}
    defaults.pop("input_ids")
    traced = torch.fx.symbolic_trace(bare, concrete_args=defaults)
    assert torch.allclose(traced(IDS)["last_hidden_state"], bare(IDS).last_hidden_state, atol=1e-6)
    targets = {node.target for node in traced.graph.nodes if node.op == "call_module"}
    assert {name for name, module in bare.named_modules() if type(module) is nn.LayerNorm} <= targets


def test_averaged_and_saved_models_compute_the_same() -> None:
    plain = model()
    averaged = torch.optim.swa_utils.AveragedModel(plain)
    averaged.update_parameters(plain)
    assert torch.allclose(logits(averaged), logits(plain), atol=1e-6)
    file = io.BytesIO()
    torch.save(plain.prepack_weights(), file)
    file.seek(0)
    assert torch.allclose(logits(torch.load(file, weights_only=False)), logits(model()), atol=1e-5)


@pytest.fixture
def mesh() -> torch.distributed.device_mesh.DeviceMesh:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield torch.distributed.device_mesh.init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def test_wrapped_for_several_processes(mesh: torch.distributed.device_mesh.DeviceMesh) -> None:
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    sharded, layer_by_layer = model(), model()
    for block in sharded.distilbert.transformer.layer:
        fully_shard(block, mesh=mesh)
    for block in layer_by_layer.distilbert.transformer.layer:
        parallelize_module(block, mesh, {"ffn.lin1": ColwiseParallel(), "ffn.lin2": RowwiseParallel()})
    for parallel in (nn.parallel.DistributedDataParallel(model()), fully_shard(sharded, mesh=mesh), layer_by_layer):
        output = parallel.train()(IDS, MASK, labels=LABELS)
        output.loss.backward()
        assert torch.allclose(output.logits, logits(model()), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in distilbert_pt.__all__ if name.startswith("DistilBertFor")])
def test_every_argument_has_a_name_and_a_place(name: str) -> None:
    """Trainer passes more where there are `**kwargs`; the older ONNX exporter passes all defaults by position."""
    kinds = {parameter.kind for parameter in signature(getattr(distilbert_pt, name).forward).parameters.values()}
    assert kinds == {Parameter.POSITIONAL_OR_KEYWORD}


def test_all_arguments_by_position() -> None:
    plain = model()
    names = list(signature(plain.forward).parameters)
    values = [{"input_ids": IDS, "attention_mask": MASK}.get(name) for name in names]
    assert torch.equal(plain(*values).logits, logits(plain))
