from __future__ import annotations

import copy
import dataclasses
import importlib
import pickle

import numpy as np
import pytest

from distilbert_common import OUTPUT_TYPES, MaskedLMOutput, QuestionAnsweringModelOutput
from distilbert_common.outputs import BaseModelOutput

LISTS = ("hidden_states", "attentions")
FIELDS = {
    "BaseModelOutput": ("last_hidden_state", *LISTS),
    "MaskedLMOutput": ("loss", "logits", *LISTS),
    "SequenceClassifierOutput": ("loss", "logits", *LISTS),
    "MultipleChoiceModelOutput": ("loss", "logits", *LISTS),
    "TokenClassifierOutput": ("loss", "logits", *LISTS),
    "QuestionAnsweringModelOutput": ("loss", "start_logits", "end_logits", *LISTS),
}


def test_names_fields_and_order_are_those_of_transformers() -> None:
    for cls in OUTPUT_TYPES:
        full = cls(*range(len(FIELDS[cls.__name__])))
        assert tuple(full.keys()) == FIELDS[cls.__name__]
        assert full.to_tuple() == tuple(range(len(full)))
    assert {cls.__name__ for cls in OUTPUT_TYPES} == set(FIELDS)


def test_attribute_key_and_tuple_access_agree() -> None:
    logits, attentions = np.ones((2, 3)), (np.zeros(1),)
    output = MaskedLMOutput(logits=logits, attentions=attentions)
    assert output.logits is output["logits"] is output[0] is logits
    assert output.attentions is output[1] is output[-1] is attentions
    assert output.loss is None
    assert "loss" not in output
    assert output[:1] == (logits,)
    assert (len(output), list(output)) == (2, ["logits", "attentions"])
    with pytest.raises(KeyError):
        output["loss"]
    with pytest.raises(IndexError):
        output[2]


def test_setting_a_field_shows_everywhere_and_deleting_is_refused() -> None:
    output = MaskedLMOutput(logits=1)
    output.loss = 5
    output["hidden_states"] = 7
    assert (output["loss"], output.hidden_states) == (5, 7)
    for change in (output.pop, output.__delitem__, output.setdefault):
        with pytest.raises(TypeError, match="cannot be deleted"):
            change("loss")


def test_frameworks_can_rebuild_one_from_pairs() -> None:
    output = QuestionAnsweringModelOutput(start_logits=np.ones(2), end_logits=np.zeros(2))
    for source in (dict(output), output.items(), iter(output.items()), tuple(output.items())):
        assert QuestionAnsweringModelOutput(source).keys() == output.keys()
    with pytest.raises(TypeError, match="no field 'scores'"):
        MaskedLMOutput({"scores": 1})
    nested = BaseModelOutput((np.ones(1), np.ones(1)))
    assert list(nested) == ["last_hidden_state"], "a tuple of tensors is a value"


@pytest.mark.parametrize("rebuild", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_and_pickles(rebuild) -> None:
    output = MaskedLMOutput(logits=np.arange(3), attentions=(1, 2))
    twin = rebuild(output)
    assert type(twin) is MaskedLMOutput
    assert list(twin) == ["logits", "attentions"]
    assert np.array_equal(twin.logits, output.logits)
    assert twin.loss is None


def test_transformers_takes_them_for_its_own_where_it_is_imported() -> None:
    output = BaseModelOutput(last_hidden_state=1)
    assert isinstance(output, BaseModelOutput)
    modeling_outputs = importlib.import_module("transformers.modeling_outputs")
    assert isinstance(output, modeling_outputs.BaseModelOutput)
    assert not isinstance(output, modeling_outputs.MaskedLMOutput)
    assert type(copy.copy(output)) is type(pickle.loads(pickle.dumps(output))) is BaseModelOutput
    assert output == BaseModelOutput(last_hidden_state=1)


def test_replacing_a_field_gives_the_same_type_where_transformers_is_imported() -> None:
    importlib.import_module("transformers.modeling_outputs")
    output = MaskedLMOutput(logits=1, hidden_states=(2,))
    changed = dataclasses.replace(output, logits=3)
    assert type(changed) is MaskedLMOutput
    assert dict(changed) == {"logits": 3, "hidden_states": (2,)}
    assert dict(output) == {"logits": 1, "hidden_states": (2,)}
