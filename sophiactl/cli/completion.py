"""`sophiactl completion`: scripts that let a shell complete commands and options."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sophiactl.cli.command import Context, Result, command

# Each script hands the words up to the cursor to `sophiactl __complete`, which prints one candidate a line. No
# candidate means: complete file names.
_BASH = """\
_sophiactl() {
    local cur=${COMP_WORDS[COMP_CWORD]} IFS=$'\\n'
    COMPREPLY=($("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f 1))
    if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}
complete -o filenames -o bashdefault -F _sophiactl sophiactl
"""
_ZSH = """\
#compdef sophiactl
_sophiactl() {
    local -a candidates
    local line
    for line in ${(f)"$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
        candidates+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    if (( ${#candidates} )); then
        _describe -t commands sophiactl candidates
    else
        _files
    fi
}
if [[ $funcstack[1] == _sophiactl ]]; then
    _sophiactl "$@"
else
    compdef _sophiactl sophiactl
fi
"""
_FISH = """\
function __sophiactl_complete
    set -l words (commandline -opc) (commandline -ct)
    sophiactl __complete $words[2..-1] 2>/dev/null
end
complete -c sophiactl -f -a '(__sophiactl_complete)'
complete -c sophiactl -n 'test -z (__sophiactl_complete | string collect)' -F
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@command(
    examples=(
        ('eval "$(sophiactl completion bash)"', "for this bash; put the line into ~/.bashrc to keep it"),
        ("sophiactl completion zsh > ~/.zfunc/_sophiactl", "for zsh, with ~/.zfunc in fpath"),
        ("sophiactl completion fish > ~/.config/fish/completions/sophiactl.fish", "for fish"),
    ),
)
def completion(
    _context: Context, shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="bash, zsh or fish")]
) -> Result:
    """Print the script to evaluate."""
    return Result(data={"shell": shell, "script": SCRIPTS[shell]}, text=SCRIPTS[shell])
