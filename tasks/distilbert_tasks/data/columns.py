"""Which columns of a data set are what a task needs: by well-known names, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from distilbert_common.errors import InputError
from distilbert_tasks.data.column_names import NAMES, Group, Role

__all__ = ["Chosen", "Requested", "choose_columns"]

Requested = Mapping[str, str | Sequence[str]] | None
"""The columns that a user names, by role."""
Chosen = dict[str, Group]
"""The columns of each role."""

TWO_COLUMNS = {"text-classification": ("text",), "question-answering": ("answers",), "multiple-choice": ("prompt",)}
"""The roles that may have two columns, besides labels and choices, which may have any number."""

_OF_CONLL = ("tokens", "tags")


def choose_columns(
    task: str,
    available: Sequence[str],
    requested: Requested,
    labeled: bool,
    source: str,
    *,
    roles: Mapping[str, Role] | None = None,
) -> Chosen:
    """Return the columns of each role of a task.

    Args:
        task: The name of the task.
        available: The columns that there are.
        requested: Those that the user names, by role.
        labeled: Whether labels are needed.
        source: The name of the file or data set.
        roles: What the task needs; None for `NAMES`.

    Raises:
        InputError: A column is not there, or several could be meant.
    """
    roles = NAMES[task] if roles is None else roles
    chosen: Chosen = {
        role: tuple(_as_it_stands(name, available) for name in ((names,) if isinstance(names, str) else names))
        for role, names in (requested or {}).items()
        if labeled or role not in roles or not roles[role].is_label
    }
    _check_requested(task, roles, chosen, available, source)
    for role, spec in roles.items():
        if role in chosen or (spec.is_label and not labeled):
            continue
        used = {name for names in chosen.values() for name in names}
        names = _look_for(role, spec, [name for name in available if name not in used], source)
        if names:
            chosen[role] = names
        elif not spec.is_optional:
            is_conll = "; a file with a word in each line is read as format conll" if role in _OF_CONLL else ""
            raise InputError(
                f"{source}: no column is known to be the {role} of {task}; it has {_listed(available)}; name one with "
                f'columns={{"{role}": "…"}} (--column {role}=…){is_conll}'
            )
    return chosen


def _as_it_stands(name: str, available: Sequence[str]) -> str:
    """Return the name of a column; those of CSV files have lost the white space around them."""
    return name if name in available else name.strip()


def _check_requested(
    task: str, roles: Mapping[str, Role], requested: Chosen, available: Sequence[str], source: str
) -> None:
    """Require roles and columns that there are."""
    known = [*roles, *(["text_pair"] if task == "text-classification" else [])]
    for role, names in requested.items():
        if role not in known:
            raise InputError(f"columns names {role!r} (--column {role}=…); {task} has {', '.join(known)}")
        for name in names:
            if name not in available:
                raise InputError(f"{source}: there is no column {name!r} for {role}; it has {_listed(available)}")
        most = 2 if role in TWO_COLUMNS.get(task, ()) else 1
        is_open = role == "choices" or (role == "label" and task == "text-classification")
        if not is_open and len(names) > most:
            raise InputError(f"columns names {len(names)} columns for {role}, which takes at most {most}")


def _look_for(role: str, spec: Role, available: Sequence[str], source: str) -> Group:
    """Return the columns known to have a role; of two groups where one is part of the other, the larger."""
    actual = {name.lower(): name for name in sorted(available, key=lambda name: name == name.lower())}
    for tier in spec.tiers:
        groups = [group for group in tier if all(name in actual for name in group)]
        groups = [one for one in groups if not any(set(one) < set(other) for other in groups)]
        if len(groups) > 1:
            names = [[actual[name] for name in group] for group in groups]
            options = " or ".join(" and ".join(map(repr, group)) for group in names)
            example = f'"{names[0][0]}"' if len(names[0]) == 1 else str(names[0]).replace("'", '"')
            advice = f'choose with columns={{"{role}": {example}}} (--column {role}=…)'
            raise InputError(f"{source}: {options} could be the {role}; {advice}")
        if groups:
            group = _numbered_on(groups[0], actual) if spec.is_numbered and len(groups[0]) > 1 else groups[0]
            return tuple(actual[name] for name in group)
    return ()


def _numbered_on(group: Group, actual: Mapping[str, str]) -> Group:
    """Return a group such as ("ending0", "ending1") with "ending2" and so on."""
    names = list(group)
    while (following := _following(names[-1])) in actual:
        names.append(following)
    return tuple(names)


def _following(name: str) -> str:
    """Return the name with the next number or letter at its end."""
    if number := re.search(r"\d+$", name):
        return f"{name[: number.start()]}{int(number.group()) + 1}"
    return name[:-1] + chr(ord(name[-1]) + 1)


def _listed(names: Sequence[str]) -> str:
    return "the columns " + ", ".join(map(repr, names)) if names else "no columns"
