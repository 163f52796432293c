from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from distilbert_cli.tolerances import BETWEEN_FRAMEWORKS
from distilbert_common.constants import LOSS_CHUNK_TOKENS
from distilbert_pt import DistilBertConfig, DistilBertModel
from distilbert_pt.fast import onednn, prepacked
from distilbert_pt.fast.chunked_cross_entropy import BFLOAT16_TOKENS, chunked_cross_entropy
from distilbert_pt.fast.chunked_distillation import ProjectedTargets, TopTargets, chunked_distillation
from distilbert_pt.fast.layers import is_fusible, linear, linears
from distilbert_pt.fast.prepacked import pack_weights
from distilbert_pt.losses import masked_lm_loss
from distilbert_pt.modeling import FFN
from parity_tests.helpers.tolerances import GRADIENT

TOLERANCE = BETWEEN_FRAMEWORKS["float32"].value


@pytest.fixture
def lin() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(48, 32)


@pytest.fixture
def lin2() -> nn.Linear:
    return nn.Linear(32, 48)


def feed_forward(lin1: nn.Module, activation: Callable, lin2: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Call the feed-forward network that has these layers, without its dropout."""
    return FFN.forward(SimpleNamespace(lin1=lin1, activation=activation, lin2=lin2, dropout=lambda y: y), x)


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = TOLERANCE) -> bool:
    return bool((one - other).abs().max() <= tolerance * other.abs().max().clamp(min=1.0))


@pytest.mark.parametrize("shape", [(48,), (7, 48), (2, 5, 48), (0, 48)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_values(shape: tuple[int, ...], bias: bool) -> None:
    x, lin = torch.randn(shape), nn.Linear(48, 32, bias=bias)
    expected = lin(x)
    for y in (linear(lin, x), linear(lin, x.clone().requires_grad_())):
        assert y.shape == expected.shape
        assert y.numel() == 0 or close(y, expected)


@pytest.mark.parametrize("trained", [False, True])
def test_bfloat16(lin: nn.Linear, trained: bool) -> None:
    x = torch.randn(7, 48)
    half = copy.deepcopy(lin).to(torch.bfloat16)
    y = linear(half, x.to(torch.bfloat16).requires_grad_(trained))
    assert y.dtype == torch.bfloat16
    assert close(y.float(), lin(x), BETWEEN_FRAMEWORKS["bfloat16"].value)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_what_autocast_computes_in_bfloat16(frozen: bool, grad: bool, bias: bool) -> None:
    layers = [nn.Linear(48, 32, bias=bias), nn.Linear(48, 32, bias=bias), nn.Linear(32, 48, bias=bias)]
    plain = copy.deepcopy(layers)
    for layer in [*layers, *plain]:
        layer.requires_grad_(not frozen)
    x = torch.randn(2, 5, 48)
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(grad):
        outputs = *linears(layers[:2], x), feed_forward(layers[0], F.gelu, layers[2], x)
        expected = plain[0](x), plain[1](x), plain[2](F.gelu(plain[0](x)))
    assert [y.dtype for y in outputs] == [torch.bfloat16] * 3
    assert all(close(y.float(), other.float(), 2**-7) for y, other in zip(outputs, expected, strict=True))
    if grad and not frozen:
        sum(y.float().square().sum() for y in outputs).backward()
        sum(y.float().square().sum() for y in expected).backward()
        pairs = zip(nn.ModuleList(layers).parameters(), nn.ModuleList(plain).parameters(), strict=True)
        assert all(close(one.grad, other.grad, 2**-6) for one, other in pairs)


class InFloat32(nn.Linear):
    """As a user has a part of a model that is not to be rounded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(x)


@pytest.mark.parametrize("layer", [InFloat32(48, 32), nn.Linear(48, 32).double()], ids=["float32 inside", "float64"])
def test_autocast_rounds_nothing_that_pytorch_would_not(layer: nn.Linear) -> None:
    x = torch.randn(3, 48, dtype=layer.weight.dtype)
    labels = torch.randint(32, (3,))
    with torch.autocast("cpu", torch.bfloat16):
        for y in (*linears([layer, layer], x), linear(layer, x)):
            assert torch.equal(y, layer(x))
        loss = chunked_cross_entropy(x.double(), layer.weight.double(), layer.bias.double(), labels)
    assert close(loss, F.cross_entropy(F.linear(x, layer.weight, layer.bias), labels), 1e-6)


@pytest.mark.parametrize("forward", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_are_taken_as_the_forward_pass_was(
    lin: nn.Linear, lin2: nn.Linear, forward: bool, dtype: torch.dtype
) -> None:
    x, gradients = torch.randn(6, 48, requires_grad=True), []
    for backward in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=forward):
            y = feed_forward(lin, F.gelu, lin2, x).float().square().sum()
        with torch.autocast("cpu", dtype, enabled=backward):
            gradients.append(torch.autograd.grad(y, [x, *lin.parameters(), *lin2.parameters()]))
    for one, other in zip(*gradients, strict=True):
        assert close(one, other, 2**-6)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    ("dtype", "apart"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8), (torch.float16, 1e-6)], ids=str
)
def test_products_are_added_to_a_float32_total(dtype: torch.dtype, apart: float, begun: bool) -> None:
    d = (torch.randn(64, 48) * 1e-7).to(dtype)  # as gradients are: float16 has next to nothing below it
    x, total = torch.randn(64, 32).to(dtype), torch.full((48, 32), 1e-6)
    expected = total.double() * begun + d.double().t() @ x.double()
    total = onednn.add_product(total if begun else None, d.t(), x)
    assert total.dtype == torch.float32
    assert (total - expected).abs().max() <= apart * expected.abs().max()


@pytest.mark.parametrize("tokens", [0, 300, LOSS_CHUNK_TOKENS, BFLOAT16_TOKENS, BFLOAT16_TOKENS + 700])
def test_gradients_in_bfloat16_are_of_all_tokens(tokens: int) -> None:
    torch.manual_seed(0)  # five sums for the bias may all be next to 0
    x, labels = torch.randn(tokens, 8), torch.randint(5, (tokens,))
    weight, bias = torch.randn(5, 8), torch.randn(5)
    gradients = []
    for is_reference in (True, False):
        inputs = [each.clone().requires_grad_() for each in (x, weight, bias)]
        if is_reference:
            F.cross_entropy(F.linear(*inputs), labels, reduction="sum").backward()
        else:
            with torch.autocast("cpu", torch.bfloat16):
                (chunked_cross_entropy(*inputs, labels) * max(1, tokens)).backward()
        assert all(each.grad.dtype == torch.float32 for each in inputs)
        gradients.append([each.grad for each in inputs])
    for one, other in zip(*gradients, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= 2**-7 * other.norm()


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_of_masked_lms_loss_have_gradients(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be wrong, and nothing would say so, if what the forward pass computed were taken for a constant."""
    x, weight, bias = torch.randn(6, 8), torch.randn(5, 8), torch.randn(5)
    variables, second = [x] if frozen else [x, weight, bias], []
    for variable in variables:
        variable.requires_grad_()
    for fast in ("1", "0"):
        monkeypatch.setenv("DISTILBERT_FAST", fast)
        loss = masked_lm_loss((x + weight[0]).tanh(), weight, bias, torch.arange(6) % 5)  # as if it were tied
        first = torch.autograd.grad(loss, variables, create_graph=True)
        second.append(torch.autograd.grad(sum(each.square().sum() for each in first), variables))
    assert all(close(one, other) for one, other in zip(*second, strict=True))


@pytest.mark.parametrize("top", [False, True])
def test_gradients_of_the_loss_of_distillation_have_gradients(top: bool) -> None:
    x, weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((6, 8), (5, 8), (5,)))
    teacher = [torch.randn(6, 8), torch.randn(5, 8), torch.randn(5)]
    kept = F.linear(*teacher).topk(5)  # all, which is no other distribution
    targets = TopTargets(kept.indices, kept.values) if top else ProjectedTargets(*teacher)
    hidden, labels = (x + weight[0]).tanh(), torch.arange(4)
    y = F.linear(hidden, weight, bias)
    p, log_q = (F.linear(*teacher) / 2).softmax(-1), (y / 2).log_softmax(-1)
    whole = F.kl_div(log_q, p, reduction="sum") * 4 + 0.7 * F.cross_entropy(y[:4], labels, reduction="sum")
    second = []
    for total in (whole, chunked_distillation(hidden, weight, bias, labels, targets, 2.0, 0.7).total):
        first = torch.autograd.grad(total, [x, weight, bias], create_graph=True)
        second.append(torch.autograd.grad(sum(d.square().sum() for d in first), [x, weight, bias], retain_graph=True))
    for expected, actual in zip(*second, strict=True):
        assert (actual - expected).norm() <= 1e-5 * expected.norm()


def test_a_second_gradient_of_the_loss_of_distillation_is_refused() -> None:
    """The first one has become `grad`, in place."""
    x, weight, bias = torch.randn(3, 8, requires_grad=True), torch.randn(5, 8), torch.randn(5)
    targets = TopTargets(torch.zeros(3, 1, dtype=torch.int32), torch.zeros(3, 1))
    loss = chunked_distillation(x, weight, bias, torch.arange(2), targets, 2.0, 1.0).total
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="compute it again"):
        loss.backward()


def test_rows_that_do_not_lie_together(lin: nn.Linear) -> None:
    x = torch.randn(4, 3, 48)[:, 0]
    assert close(linear(lin, x), lin(x))


@pytest.mark.parametrize(
    "activation", [F.gelu, torch.tanh, nn.GELU(), nn.GELU("tanh")], ids=["gelu", "tanh", "GELU", "GELU by tanh"]
)
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("by_onednn", [False, True])
def test_feed_forward(
    lin: nn.Linear,
    activation: Callable[[torch.Tensor], torch.Tensor],
    grad: bool,
    bias: bool,
    by_onednn: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onednn, "EVERYWHERE", by_onednn and onednn.ONEDNN)
    x, lin2 = torch.randn(9, 48), nn.Linear(32, 48, bias=bias)
    with torch.set_grad_enabled(grad):
        assert close(feed_forward(lin, activation, lin2, x), lin2(activation(lin(x))))


@pytest.mark.parametrize("activation", [F.gelu, torch.tanh], ids=["gelu", "tanh"])
@pytest.mark.parametrize("by_onednn", [False, True])
def test_gradients_of_both_orders(
    lin: nn.Linear,
    lin2: nn.Linear,
    activation: Callable[[torch.Tensor], torch.Tensor],
    by_onednn: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onednn, "EVERYWHERE", by_onednn and onednn.ONEDNN)
    x = torch.randn(6, 48, requires_grad=True)
    variables = [x, *lin.parameters(), *lin2.parameters()]

    def gradients(y: torch.Tensor) -> list[torch.Tensor]:
        first = torch.autograd.grad(y.tanh().sum(), variables, create_graph=True)
        return [*first, *torch.autograd.grad(sum(g.square().sum() for g in first), variables)]

    plain = gradients(lin2(activation(lin(x))))
    for mine, expected in zip(gradients(feed_forward(lin, activation, lin2, x)), plain, strict=True):
        assert close(mine, expected, GRADIENT.value)


def test_the_step_with_gelu_keeps_its_input_alone(
    lin: nn.Linear, lin2: nn.Linear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where oneDNN is absent PyTorch's own product stands in for it, so that this holds on every machine."""
    monkeypatch.setattr(onednn, "ONEDNN", True)
    monkeypatch.setattr(onednn, "product", lambda a, b, bias, activation="none": F.linear(a, b, bias))
    x, stored = torch.randn(6, 48, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: stored.append(tensor.data_ptr()), lambda _: None):
        feed_forward(lin, F.gelu, lin2, x)
    assert len(set(stored)) == 4  # x, both weights, and what lin1 gave


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def patched(lin: nn.Linear) -> nn.Linear:
    lin.forward = lambda x: 2 * F.linear(x, lin.weight, lin.bias)
    return lin


def hooked(lin: nn.Linear) -> nn.Linear:
    lin.register_forward_hook(lambda module, inputs, y: 2 * y)
    return lin


def pre_hooked(lin: nn.Linear) -> nn.Linear:
    lin.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],))
    lin.bias.data.zero_()
    return lin


def subclassed(lin: nn.Linear) -> nn.Linear:
    doubled = Doubled(lin.in_features, lin.out_features)
    doubled.load_state_dict(lin.state_dict())
    return doubled


LAYERS = {
    "subclass": subclassed,
    "forward replaced": patched,
    "hook": hooked,
    "hook before": pre_hooked,
    "sequence": lambda lin: nn.Sequential(lin, nn.Tanh()),
    "weight norm": nn.utils.parametrizations.weight_norm,
    "spectral norm": nn.utils.parametrizations.spectral_norm,
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("grad", [False, True])
def test_any_other_layer_is_called(
    lin: nn.Linear, lin2: nn.Linear, layer: Callable[[nn.Linear], nn.Module], grad: bool
) -> None:
    x, other, other2 = torch.randn(4, 48), layer(lin).eval(), layer(lin2).eval()
    with torch.set_grad_enabled(grad):
        assert torch.equal(linear(other, x), other(x))
        assert torch.equal(feed_forward(other, F.gelu, other2, x), other2(F.gelu(other(x))))


def test_backward_hooks_and_hooks_for_all_modules_hear_of_it(lin: nn.Linear, lin2: nn.Linear) -> None:
    heard = []
    lin2.register_full_backward_hook(lambda *_: heard.append("backward"))
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: heard.append(module))
    feed_forward(lin, F.gelu, lin2, torch.randn(4, 48)).sum().backward()
    handle.remove()
    assert heard == [lin, lin2, "backward"]


def test_a_counter_of_operators_sees_the_products(lin: nn.Linear, lin2: nn.Linear) -> None:
    with FlopCounterMode(display=False) as counter:
        feed_forward(lin, F.gelu, lin2, torch.randn(4, 48))
    assert counter.get_total_flops() == 2 * 2 * 4 * 48 * 32


def test_function_transforms_and_autocast_take_the_usual_way(lin: nn.Linear) -> None:
    x = torch.randn(5, 48)
    plain = lin(x)
    assert close(torch.vmap(lambda row: linear(lin, row))(x), plain)
    assert close(torch.func.jvp(lambda x: linear(lin, x), (x,), (x,))[1], F.linear(x, lin.weight))
    loss = partial(masked_lm_loss, weight=lin.weight, bias=lin.bias, labels=torch.arange(5))
    (expected,) = torch.autograd.grad(loss(x.requires_grad_()), x)
    assert close(torch.func.grad(loss)(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(lin, x).dtype == torch.bfloat16


def test_machines_without_onednn(lin: nn.Linear, lin2: nn.Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "ONEDNN", False)
    x = torch.randn(5, 48)
    assert torch.equal(linear(lin, x), lin(x))
    with torch.no_grad():
        assert torch.equal(feed_forward(lin, F.gelu, lin2, x), lin2(F.gelu(lin(x))))


class TestPrepacked:
    """All hold too where oneDNN is not taken and nothing is packed."""

    @pytest.fixture(autouse=True)
    def packed_however_small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prepacked, "LEAST_WEIGHTS", 0)

    @pytest.mark.parametrize("everywhere", [False, True])
    def test_onednn_meets_few_numbers_of_rows(
        self, lin: nn.Linear, everywhere: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each is code that it keeps: a server with a batch of another size each time took hundreds of megabytes."""
        met: set[int] = set()

        def product(a: torch.Tensor, *more: Any) -> torch.Tensor:
            met.add(len(a))
            return onednn.product(a, *more)

        monkeypatch.setattr(prepacked, "product", product)
        monkeypatch.setattr(prepacked, "EVERYWHERE", everywhere)
        pack_weights(lin, True)
        x = torch.randn(513, 48)
        with torch.no_grad():
            for rows in [*range(1, 301), 511, 512, 513]:
                assert close(linear(lin, x[:rows]), lin(x[:rows]))
        few = {*range(1, 33), *range(40, 257, 8)}
        expected = few | ({512} if everywhere else set())
        assert met == (expected if onednn.ONEDNN else set())

    def test_values(self, lin: nn.Linear, lin2: nn.Linear) -> None:
        x = torch.randn(7, 48)
        expected = lin2(F.gelu(lin(x)))
        pack_weights(lin, True)
        with torch.no_grad():
            assert close(linear(lin, x), lin(x))
            assert close(feed_forward(lin, F.gelu, lin2, x), expected)
        assert close(linear(lin, x), lin(x))
        assert (lin.prepacked_weight._packed is not None) == onednn.ONEDNN
        pack_weights(lin, False)
        assert not hasattr(lin, "prepacked_weight")

    @pytest.mark.parametrize(
        "change",
        [
            lambda lin: lin.weight.mul_(2),
            lambda lin: lin.load_state_dict({"weight": torch.ones(32, 48), "bias": torch.ones(32)}),
            lambda lin: setattr(lin, "weight", nn.Parameter(torch.ones(32, 48))),
            lambda lin: setattr(lin.weight, "data", torch.ones(32, 48)),
            lambda lin: (lin.weight.data.mul_(2), pack_weights(lin, True)),
            nn.utils.parametrizations.weight_norm,
            lambda lin: prune.random_unstructured(lin, "weight", 0.5),
        ],
        ids=["in place", "loaded", "replaced", "data replaced", "data in place, packed again", "normed", "pruned"],
    )
    def test_changes_are_seen(self, lin: nn.Linear, change: Callable[[nn.Linear], object]) -> None:
        x = torch.randn(7, 48)
        pack_weights(lin, True)
        with torch.no_grad():
            linear(lin, x)
            change(lin)
            if nn.utils.parametrize.is_parametrized(lin):
                lin.parametrizations.weight.original0.mul_(2)
            assert close(linear(lin, x), lin(x))

    def test_training_goes_on(self, lin: nn.Linear) -> None:
        x = torch.randn(7, 48)
        pack_weights(lin, True)
        optimizer = torch.optim.SGD(lin.parameters(), lr=0.1)
        for _ in range(2):
            with torch.no_grad():
                assert close(linear(lin, x), lin(x))
            linear(lin, x).square().mean().backward()
            optimizer.step()

    def test_copies_and_files(self, lin: nn.Linear) -> None:
        x = torch.randn(7, 48)
        pack_weights(lin, True)
        with torch.no_grad():
            expected = linear(lin, x)
            for other in (copy.deepcopy(lin), pickle.loads(pickle.dumps(lin))):
                assert hasattr(other, "prepacked_weight")
                assert close(linear(other, x), expected)
        assert sorted(lin.state_dict()) == ["bias", "weight"]

    def test_models(self) -> None:
        model = DistilBertModel(DistilBertConfig(dim=48, n_heads=4, n_layers=1, hidden_dim=96, vocab_size=20)).eval()
        ids = torch.arange(12).reshape(2, 6)
        with torch.inference_mode():
            expected = model(ids).last_hidden_state
            assert close(model.prepack_weights()(ids).last_hidden_state, expected)
        weight = weakref.ref(model.transformer.layer[0].ffn.lin1.weight)
        del model
        gc.collect()
        assert weight() is None


def test_every_product_of_a_model_is_fast_where_onednn_is_there() -> None:
    model = DistilBertModel(DistilBertConfig(dim=48, n_heads=4, n_layers=1, hidden_dim=96, vocab_size=20))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == 6
    fast = [onednn.is_enabled() and is_fusible(layer, torch.randn(2, layer.in_features)) for layer in layers]
    assert fast == [onednn.ONEDNN] * 6
