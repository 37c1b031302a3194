"""Scripts by which shells complete kagglekit's verbs, options and models. Written from the parser itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple


class Option(NamedTuple):
    """An option of a verb."""

    flags: Sequence[str]
    help: str
    takes: bool
    """Whether a value follows it."""
    values: Sequence[str]
    """Known values; files where there are none."""
    listed: bool
    """Whether several values may follow, with commas between."""


class Verb(NamedTuple):
    """A verb."""

    name: str
    help: str
    options: list[Option]
    words: list[str]
    """What may stand without an option before it."""


def verbs(parser: argparse.ArgumentParser, models: Sequence[str], recipes: Sequence[str]) -> list[Verb]:
    """What there is to complete.

    Args:
        parser: `cli.make_parser`'s.
        models: values of --model, --models and --ensemble.
        recipes: values of --recipe.
    """
    known = dict.fromkeys(("--model", "--models", "--ensemble"), models) | {"--recipe": recipes}
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    summaries = {choice.dest: choice.help or "" for choice in found._choices_actions}
    made = []
    for name, sub in found.choices.items():
        options = [_option(action, known) for action in sub._actions if action.option_strings]
        plain = (action for action in sub._actions if not action.option_strings)
        made.append(
            Verb(name, summaries[name], options, [word for one in plain for word in one.choices or ()])
        )
    return made


def _option(action: argparse.Action, known: dict[str, Sequence[str]]) -> Option:
    values = next((known[flag] for flag in action.option_strings if flag in known), action.choices or ())
    return Option(
        flags=action.option_strings,
        help=(action.help or "").replace("%%", "%"),
        takes=action.nargs != 0,
        values=[str(value) for value in values],
        listed=action.metavar == "A,B",
    )


BASH = """\
# kagglekit's completion for bash, to be sourced
_kagglekit() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb= word before=
    for word in "${{COMP_WORDS[@]:1:$((COMP_CWORD - 1))}}"; do
        case $word in ({names}) verb=$word; break ;; esac
    done
    COMPREPLY=()
    case $verb,$prev in
{values}
    esac
    case $verb in
        ('') COMPREPLY=($(compgen -W "{words} --help --version -C --set --json --quiet" -- "$cur")) ;;
{flags}
    esac
}}
complete -o default -F _kagglekit kagglekit
"""


def bash(found: Sequence[Verb]) -> str:
    """A function for bash; where nothing is known, it completes files."""
    values, flags = [], []
    for verb in found:
        for option in verb.options:
            if not option.takes:
                continue
            pattern = "|".join(f"{verb.name},{flag}" for flag in option.flags)
            if option.listed:  # what stands before the last comma stays
                values.append(f"        ({pattern}) case $cur in (*,*) before=${{cur%,*}}, ;; esac")
                reply = f'compgen -P "$before" -W "{" ".join(option.values)}" -- "${{cur##*,}}"'
                values.append(f"            COMPREPLY=($({reply})); return ;;")
            elif option.values:
                reply = f'compgen -W "{" ".join(option.values)}" -- "$cur"'
                values.append(f"        ({pattern}) COMPREPLY=($({reply})); return ;;")
            else:
                values.append(f"        ({pattern}) return ;;")
        every = " ".join(flag for option in verb.options for flag in option.flags)
        reply = f'COMPREPLY=($(compgen -W "{every}" -- "$cur"))'
        words = f'(*) COMPREPLY=($(compgen -W "{" ".join(verb.words)}" -- "$cur")) ;;' if verb.words else ""
        flags.append(f"        ({verb.name}) case $cur in (-*) {reply} ;; {words} esac ;;")
    names = [verb.name for verb in found]
    return BASH.format(
        names="|".join(names), words=" ".join(names), values="\n".join(values), flags="\n".join(flags)
    )


def zsh(found: Sequence[Verb]) -> str:
    """Bash's function, which zsh can run."""
    start = "autoload -Uz compinit bashcompinit && compinit -u && bashcompinit\n"
    return "# kagglekit's completion for zsh, to be sourced\n" + start + bash(found)


def fish(found: Sequence[Verb]) -> str:
    """Rules for fish, with what each option is for."""
    lines = [
        "# kagglekit's completion for fish: ~/.config/fish/completions/kagglekit.fish",
        "complete -c kagglekit -f",
    ]
    for verb in found:
        lines.append(f"complete -c kagglekit -n __fish_use_subcommand -a {verb.name} -d {_quoted(verb.help)}")
        seen = f"-n '__fish_seen_subcommand_from {verb.name}'"
        if verb.words:
            lines.append(f"complete -c kagglekit {seen} -a {_quoted(' '.join(verb.words))}")
        for option in verb.options:
            flags = " ".join(
                f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags
            )
            value = ""
            if option.listed:
                value = f" -x -a {_quoted('(__fish_append , ' + ' '.join(option.values) + ')')}"
            elif option.values:
                value = f" -x -a {_quoted(' '.join(option.values))}"
            elif option.takes:
                value = " -r -F"
            lines.append(f"complete -c kagglekit {seen} {flags}{value} -d {_quoted(option.help)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """For fish, in which only these two mean anything between single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
