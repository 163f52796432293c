"""What the base classes of the three families share: getters, sizes, switches, publishing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from distilbert_common.checks import check_size
from distilbert_common.config import DistilBertConfig
from distilbert_common.errors import InputError
from distilbert_common.hub import push_folder, take_saving_options

if TYPE_CHECKING:
    from distilbert_common.load_report import LoadReport
    from distilbert_common.outputs import ModelOutput

Output = TypeVar("Output", bound="ModelOutput")

__all__ = ["DUMMY_IDS", "PreTrainedMixin", "push_saved"]

DUMMY_IDS = ((7, 6, 0, 0, 1), (1, 2, 3, 0, 0), (0, 0, 0, 4, 5))
"""The ids of `dummy_inputs`, as in transformers."""


class PreTrainedMixin:
    """The methods of a model's base class that need no framework; each family adds loading, saving, initialization.

    A family names its functions for the changes of size, `_resize_tokens`, `_resize_positions` and `_prune`, and says
    how to walk through a model with `_submodules`.
    """

    config_class: ClassVar[type[DistilBertConfig]] = DistilBertConfig
    base_model_prefix: ClassVar[str] = "distilbert"
    main_input_name: ClassVar[str] = "input_ids"
    supports_gradient_checkpointing: ClassVar[bool] = True
    config: DistilBertConfig
    load_report: LoadReport | None = None

    def _resize_tokens(self, vocab_size: int, mean_resizing: bool) -> None:
        """Give the word embeddings and the projector so many rows; new ones may start as the mean of the old."""
        raise NotImplementedError

    def _resize_positions(self, positions: int) -> None:
        """Give the position table so many rows."""
        raise NotImplementedError

    def _prune(self, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
        """Remove attention heads of layers."""
        raise NotImplementedError

    def _submodules(self) -> Iterator[Any]:
        """Yield the model and every module or layer in it."""
        raise NotImplementedError

    def _structure_changed(self) -> None:
        """Forget what was compiled or traced before; called after each change of size and each switch."""

    @classmethod
    def can_generate(cls) -> bool:
        """Whether the model generates text: an encoder does not."""
        return False

    @property
    def base_model(self) -> Any:
        """The bare model inside, or the model itself."""
        return getattr(self, self.base_model_prefix, self)

    def _as_output(self, output: Output, return_dict: bool | None) -> Output | tuple[Any, ...]:
        """Return the output as it is, or as a tuple where the call or the config asks for one."""
        return output if (self.config.use_return_dict if return_dict is None else return_dict) else output.to_tuple()

    # Tables.

    def get_input_embeddings(self) -> Any:
        """Return the word embeddings."""
        return self.base_model.embeddings.word_embeddings

    def set_input_embeddings(self, embeddings: Any) -> None:
        """Replace the word embeddings; the projector and its bias follow."""
        self.base_model.embeddings.word_embeddings = embeddings
        self.resize_token_embeddings(embeddings.num_embeddings, mean_resizing=False)

    def get_output_embeddings(self) -> Any:
        """Return the masked-LM projector, or None for a model without one."""
        return getattr(self, "vocab_projector", None)

    def set_output_embeddings(self, embeddings: Any) -> None:
        """Replace the masked-LM projector by another one, such as another model's.

        Raises:
            InputError: The model has none, or the layer is no projector of these models.
        """
        projector = self.get_output_embeddings()
        if projector is None or type(embeddings) is not type(projector):
            raise InputError(
                f"{type(self).__name__} cannot take a {type(embeddings).__name__} as its projector to the vocabulary; "
                "give what get_output_embeddings() of a masked-LM model here returns"
            )
        self.vocab_projector = embeddings
        self._structure_changed()

    def get_position_embeddings(self) -> Any:
        """Return the position table."""
        return self.base_model.embeddings.position_embeddings

    # Sizes.

    def resize_token_embeddings(
        self, new_num_tokens: int | None = None, pad_to_multiple_of: int | None = None, mean_resizing: bool = True
    ) -> Any:
        """Change the size of the vocabulary; a tied projector stays tied. In Keras, compile anew before `fit`.

        Args:
            new_num_tokens: The new size; the present one when None.
            pad_to_multiple_of: Rounds the size up to a multiple.
            mean_resizing: Whether new rows start as the mean of the old ones, as in transformers 4.46 and later, or
                else as a new model's would.

        Returns:
            The word embeddings.

        Raises:
            InputError: A number is not a whole number of at least 1.
            ConfigError: The pad token would be outside the vocabulary.
        """
        size = self.config.vocab_size if new_num_tokens is None else new_num_tokens
        multiple = pad_to_multiple_of or 1
        check_size("new_num_tokens", size)
        check_size("pad_to_multiple_of", multiple)
        size = -(-size // multiple) * multiple
        self.config.updated(vocab_size=size)  # refuses a pad token outside before anything changes
        self._resize_tokens(size, mean_resizing)
        self._structure_changed()
        return self.get_input_embeddings()

    def resize_position_embeddings(self, new_num_position_embeddings: int) -> None:
        """Change the longest input; stored rows are kept, with `sinusoidal_pos_embds` new ones are the sinusoid's.

        Raises:
            InputError: The number is not a whole number of at least 1.
        """
        check_size("new_num_position_embeddings", new_num_position_embeddings)
        self._resize_positions(new_num_position_embeddings)
        self._structure_changed()

    def prune_heads(self, heads_to_prune: Mapping[int, Iterable[int]]) -> None:
        """Remove attention heads.

        Args:
            heads_to_prune: For each layer the heads to remove, by their original numbers; those already gone are
                passed over.

        Raises:
            InputError: A layer or head does not exist, or a layer would have none left.
        """
        self._prune(heads_to_prune)
        self._structure_changed()

    # Gradient checkpointing.

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether activations are computed again in the backward pass."""
        return any(getattr(module, "gradient_checkpointing", False) is True for module in self._submodules())

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Mapping[str, Any] | None = None) -> None:
        """Keep only each block's input for the backward pass and compute the rest again: the same gradients.

        Args:
            gradient_checkpointing_kwargs: Of effect in PyTorch alone.
        """
        self._switch_gradient_checkpointing(True)

    def gradient_checkpointing_disable(self) -> None:
        """Keep all activations for the backward pass again."""
        self._switch_gradient_checkpointing(False)

    def _switch_gradient_checkpointing(self, on: bool) -> None:
        for module in self._submodules():
            if hasattr(module, "gradient_checkpointing"):  # the word for "this module can": users' own may, too
                module.gradient_checkpointing = on
        self._structure_changed()

    # Publishing.

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write config and weights; each family says how."""
        raise NotImplementedError

    def push_to_hub(self, repo_id: str, **hub: Any) -> str:
        """Upload config and weights to the hub, and return the address of the commit.

        Args:
            repo_id: Such as "user/model".
            **hub: `token`, `private`, `commit_message` and the like, as `push_folder` takes them; `max_shard_size`,
                `safe_serialization` and `variant`, as `save_pretrained` takes them.
        """
        saving = take_saving_options(hub)
        with TemporaryDirectory() as directory:
            self.save_pretrained(directory, **saving)
            return push_folder(directory, repo_id, **hub)


def push_saved(save_directory: str | Path, repo_id: str | None, files: Sequence[str], hub: Mapping[str, Any]) -> str:
    """Upload what `save_pretrained` has just written.

    Args:
        save_directory: Where it is; files that lay there before are left out.
        repo_id: The repository; the directory's own name when None.
        files: The names of the files beside `config.json`, or patterns of them.
        hub: Options of `push_folder`.
    """
    patterns = ["config.json", *files]
    return push_folder(save_directory, repo_id or Path(save_directory).name, patterns=patterns, **hub)
