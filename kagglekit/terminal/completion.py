"""Shell completion by shtab, with the names of architectures and recipes."""

import argparse
from collections.abc import Sequence
from typing import Any

SHELLS = ("bash", "zsh", "fish")


def script(parser: argparse.ArgumentParser, shell: str, models: Sequence[str], recipes: Sequence[str]) -> str:
    """Return a shell's completion script.

    Args:
        parser: the parser of all verbs; its actions are marked with what completes their values.
        shell: one of SHELLS.
        models: values of --model and --ensemble, of which several may be given: `gru,lstm`.
        recipes: values of --recipe, likewise.
    """
    import shtab

    values = dict.fromkeys(("--model", "--ensemble"), _list_of("models", models))
    values["--recipe"] = _list_of("recipes", recipes)
    paths = {"FILE": shtab.FILE, "CSV": shtab.FILE, "WAV": shtab.FILE, "FOLDER": shtab.DIRECTORY}
    for action in _actions(parser):
        by_flag = (values[flag] for flag in action.option_strings if flag in values)
        complete = next(by_flag, None) or paths.get(str(action.metavar))
        if complete and action.nargs != 0 and not action.choices:
            action.complete = complete  # type: ignore[attr-defined]  # what shtab reads
    return shtab.complete(parser, shell)


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the actions of a parser and of its verbs."""
    actions = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            actions += [inner for verb in action.choices.values() for inner in verb._actions]
    return actions


def _list_of(kind: str, names: Sequence[str]) -> dict[str, Any]:
    """Return what shtab needs to complete names with commas between them, for each shell."""
    words = " ".join(names)
    # bash: compgen completes the word behind the last comma and puts back what stands before it
    function = f"""_kagglekit_{kind}() {{
  local before=
  case $1 in (*,*) before=${{1%,*}}, ;; esac
  compgen -P "$before" -W "{words}" -- "${{1##*,}}"
}}"""
    return {
        "bash": f"_kagglekit_{kind}",
        "zsh": f"{{_values -s , {kind} {words}}}",
        "fish": f"(__fish_append , {words})",
        "preamble": {"bash": function},
    }
