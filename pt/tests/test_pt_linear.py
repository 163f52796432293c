from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from distilbert_cli.tolerances import FRAMEWORKS, GRADIENT
from distilbert_pt import DistilBertConfig, DistilBertModel, linear
from distilbert_pt.linear import Linear

TOLERANCE = FRAMEWORKS["float32"].value


@pytest.fixture
def lin() -> Linear:
    torch.manual_seed(0)
    return Linear(48, 32)


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = TOLERANCE) -> bool:
    return float((one - other).abs().max()) <= tolerance * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("shape", [(48,), (7, 48), (2, 5, 48), (0, 48)], ids=str)
def test_values(lin: Linear, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    expected = F.linear(x, lin.weight, lin.bias)
    for found in (lin(x), lin(x.clone().requires_grad_())):
        assert found.shape == expected.shape
        assert found.numel() == 0 or close(found, expected)


@pytest.mark.parametrize("trained", [False, True])
def test_bfloat16(lin: Linear, trained: bool) -> None:
    x = torch.randn(7, 48)
    half = Linear(48, 32).to(torch.bfloat16)
    half.load_state_dict(lin.state_dict())
    found = half(x.to(torch.bfloat16).requires_grad_(trained))
    assert found.dtype == torch.bfloat16
    assert close(found.float(), lin(x), FRAMEWORKS["bfloat16"].value)
    with torch.no_grad():
        assert close(half.then(x.to(torch.bfloat16), F.gelu).float(), F.gelu(lin(x)), FRAMEWORKS["bfloat16"].value)


def test_rows_that_do_not_lie_together(lin: Linear) -> None:
    x = torch.randn(4, 3, 48)[:, 0]
    assert close(lin(x), F.linear(x, lin.weight, lin.bias))


@pytest.mark.parametrize("first", [nn.Identity(), F.gelu, torch.tanh])
def test_gradients_of_both_orders(lin: Linear, first: Callable[[torch.Tensor], torch.Tensor]) -> None:
    x = torch.randn(6, 48, requires_grad=True)

    def gradients(of: Callable[[torch.Tensor], torch.Tensor]) -> list[torch.Tensor]:
        first = torch.autograd.grad(of(x).tanh().sum(), [x, lin.weight, lin.bias], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, lin.weight, lin.bias])
        return [*first, *second]

    plain = gradients(lambda x: F.linear(first(x), lin.weight, lin.bias))
    for found, expected in zip(gradients(lambda x: lin.after(first, x)), plain, strict=True):
        assert close(found, expected, GRADIENT.value)


@pytest.mark.requires("onednn")
def test_gelu_is_computed_again_rather_than_kept(lin: Linear) -> None:
    x, kept = torch.randn(6, 48, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.data_ptr()), lambda _: None):
        lin.after(F.gelu, x)
    assert set(kept) == {x.data_ptr(), lin.weight.data_ptr()}


@pytest.mark.parametrize("activation", [F.gelu, torch.tanh])
@pytest.mark.parametrize("grad", [False, True])
def test_activation_after_it(lin: Linear, activation: Callable[[torch.Tensor], torch.Tensor], grad: bool) -> None:
    x = torch.randn(9, 48)
    with torch.set_grad_enabled(grad):
        assert close(lin.then(x, activation), activation(F.linear(x, lin.weight, lin.bias)))


def test_hooks_hear_of_it(lin: Linear) -> None:
    heard = []
    lin.register_forward_hook(lambda *_: heard.append(1))
    with torch.no_grad():
        lin.then(torch.randn(2, 48), F.gelu)
    assert heard == [1]


def test_function_transforms_and_autocast_take_the_usual_way(lin: Linear) -> None:
    x = torch.randn(5, 48)
    plain = F.linear(x, lin.weight, lin.bias)
    assert close(torch.vmap(lin)(x), plain)
    assert close(torch.func.jvp(lin, (x,), (x,))[1], F.linear(x, lin.weight))
    with torch.autocast("cpu", torch.bfloat16):
        assert lin(x).dtype == torch.bfloat16


def test_machines_without_onednn(lin: Linear, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "ONEDNN", False)
    x = torch.randn(5, 48)
    assert torch.equal(lin(x), F.linear(x, lin.weight, lin.bias))
    assert torch.equal(lin.then(x, F.gelu), F.gelu(F.linear(x, lin.weight, lin.bias)))


class TestPrepacked:
    """All hold too where oneDNN is not taken and nothing is laid out."""

    def test_values(self, lin: Linear) -> None:
        x = torch.randn(7, 48)
        expected = F.linear(x, lin.weight, lin.bias)
        lin.prepack()
        with torch.no_grad():
            assert close(lin(x), expected)
            assert close(lin.then(x, F.gelu), F.gelu(expected))
        assert close(lin(x), expected)
        assert (lin._packed is not None) == linear.ONEDNN
        lin.prepack(False)
        assert lin._packed is None

    @pytest.mark.parametrize(
        "change",
        [
            lambda lin: lin.weight.mul_(2),
            lambda lin: lin.load_state_dict({"weight": torch.ones(32, 48), "bias": torch.ones(32)}),
            lambda lin: setattr(lin, "weight", nn.Parameter(torch.ones(32, 48))),
            lambda lin: setattr(lin.weight, "data", torch.ones(32, 48)),
            lambda lin: (lin.weight.data.mul_(2), lin.prepack()),
        ],
        ids=["in place", "loaded", "replaced", "data replaced", "data in place, packed again"],
    )
    def test_changes_are_seen(self, lin: Linear, change: Callable[[Linear], object]) -> None:
        x = torch.randn(7, 48)
        lin.prepack()
        with torch.no_grad():
            before = lin(x)
            change(lin)
            assert close(lin(x), F.linear(x, lin.weight, lin.bias))
        assert not close(lin(x), before)

    def test_training_goes_on(self, lin: Linear) -> None:
        x = torch.randn(7, 48)
        lin.prepack()
        optimizer = torch.optim.SGD(lin.parameters(), lr=0.1)
        for _ in range(2):
            with torch.no_grad():
                assert close(lin(x), F.linear(x, lin.weight, lin.bias))
            lin(x).square().mean().backward()
            optimizer.step()

    def test_copies_and_files(self, lin: Linear) -> None:
        x = torch.randn(7, 48)
        lin.prepack()
        with torch.no_grad():
            expected = lin(x)
            assert close(copy.deepcopy(lin)(x), expected)
            assert close(pickle.loads(pickle.dumps(lin))(x), expected)
        assert sorted(lin.state_dict()) == ["bias", "weight"]

    def test_models(self) -> None:
        model = DistilBertModel(DistilBertConfig(dim=48, n_heads=4, n_layers=1, hidden_dim=96, vocab_size=20)).eval()
        ids = torch.arange(12).reshape(2, 6)
        with torch.inference_mode():
            expected = model(ids).last_hidden_state
            assert close(model.prepack_weights()(ids).last_hidden_state, expected)
        assert all(m.prepacked for m in model.modules() if isinstance(m, Linear))
        model.prepack_weights(False)
        assert not any(m.prepacked for m in model.modules() if isinstance(m, Linear))
