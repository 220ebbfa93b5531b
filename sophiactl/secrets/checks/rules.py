"""Every rule that a finding may name: what it is about, how much it weighs, and what to do."""

from __future__ import annotations

import msgspec

from sophiactl.secrets.base import Severity


class Rule(msgspec.Struct, frozen=True):
    """A kind of finding. `severity` is the usual one; a finding may weigh less where the case is milder."""

    title: str
    severity: Severity
    help: str


_ERROR, _WARNING, _NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE

RULES: dict[str, Rule] = {
    # What is there
    "missing": Rule(
        "A secret is missing", _ERROR, "The service cannot be used without it: set it in one of the sources."
    ),
    "incomplete": Rule(
        "Half of what belongs together", _ERROR, "Some secrets work only together: set the other one, or remove both."
    ),
    "assumed": Rule(
        "A value is assumed", _WARNING, "It was not given, and what is assumed in its place is often not right."
    ),
    "unused": Rule("Nobody uses it", _NOTE, "No service of the catalogue has a secret of this name: remove it."),
    "retired": Rule("A retired kind of secret", _ERROR, "The service has stopped taking it: remove it."),
    # How it is written
    "empty": Rule("An empty value", _ERROR, "The name is set to nothing: give it a value, or remove it."),
    "placeholder": Rule("A placeholder", _ERROR, "Nobody put the real value in yet, or a template was not filled."),
    "quotes": Rule("Quotes are part of the value", _ERROR, "The reader takes quotes literally: write it without them."),
    "newline": Rule("A line break is part of the value", _ERROR, "No header can carry one: store it without."),
    "whitespace": Rule("Blanks are part of the value", _ERROR, "They came along with the copy: store it without."),
    "invisible": Rule(
        "Invisible signs in the value", _ERROR, "A byte order mark or zero-width sign came along: type it anew."
    ),
    "non-ascii": Rule(
        "Signs that no key has", _ERROR, "A dash, an ellipsis or a letter of another alphabet: copy it anew."
    ),
    "pasted": Rule("More was pasted than the value", _ERROR, "Leave out what stands before it."),
    "too-long": Rule("Far too long for a secret", _ERROR, "A whole file or page was pasted: store the value alone."),
    # What it looks like
    "wrong-slot": Rule(
        "It belongs elsewhere", _ERROR, "The value is that of another secret: put each where it belongs."
    ),
    "wrong-prefix": Rule(
        "It begins with something else", _ERROR, "All values of this kind begin the same: copy it anew."
    ),
    "wrong-length": Rule("It has another length", _WARNING, "It may have been cut off: compare it with the original."),
    "wrong-alphabet": Rule("It has signs that do not occur", _ERROR, "It was altered on its way: copy it anew."),
    "wrong-format": Rule("It does not look like one", _ERROR, "It is not built as such values are: copy it anew."),
    "weak": Rule("It can be guessed", _WARNING, "A common word or a pattern is no secret: have a new one made."),
    "duplicate": Rule("One value under two names", _WARNING, "Two secrets are never the same: one of them is wrong."),
    "alias-differs": Rule("Two names, two values", _ERROR, "Both names mean one secret: keep one of them."),
    "alias": Rule("Two names for one secret", _NOTE, "One name is enough."),
    # Where and when it is good
    "expired": Rule("It has expired", _ERROR, "Its end is written in it: get a new one."),
    "expires-soon": Rule("It expires soon", _WARNING, "Its end is written in it: get a new one in time."),
    "too-old": Rule("It is older than allowed", _WARNING, "Have a new one made, and withdraw the old one."),
    "test-credential": Rule("Test credentials in production", _ERROR, "Use the credentials of the real account."),
    "drift": Rule("Sources disagree", _WARNING, "The first source wins: bring the others into line, or remove them."),
    # Addresses
    "url-invalid": Rule("No address", _ERROR, "Write it as https://host."),
    "url-not-https": Rule("Not https", _ERROR, "A key would be sent in the clear: write https."),
    "url-credentials": Rule("Credentials in an address", _ERROR, "Addresses are logged: keep credentials out of them."),
    "url-host": Rule("Another host", _ERROR, "A key would be sent to a host that is not the service's."),
    # Sources (found while they are read)
    "unreadable": Rule("It cannot be read", _ERROR, "Something is there, and it is not read: mend it, or remove it."),
    "file-mode": Rule("Others can read the file", _WARNING, "Take that right from everybody else: chmod 600."),
    "file-owner": Rule("The file is another user's", _WARNING, "That user can change it: have it belong to yourself."),
    "git-tracked": Rule("The file is in git", _ERROR, "Take it out of git, and have its secrets replaced."),
    "symlink": Rule("The file is a link to elsewhere", _ERROR, "Put the file itself there."),
    "too-large": Rule("The file is too large", _ERROR, "Keep secrets alone in it."),
    "encoding": Rule("It is no text", _ERROR, "Save it as UTF-8, and binary values as base64."),
    "dotenv-syntax": Rule("A line cannot be read", _ERROR, "Mend the line, or remove it."),
    "duplicate-key": Rule("A name stands twice", _WARNING, "Only one of them counts: remove the other."),
    "esc-diagnostic": Rule("ESC has a remark", _WARNING, "Mend the environment's definition: esc env edit."),
    "esc-unknown": Rule("ESC does not know the value", _WARNING, "Look at it with: esc env open."),
    "esc-null": Rule("A null in ESC", _NOTE, "It counts as absent: give it a value, or take the name out."),
    "esc-nested": Rule("No single value in ESC", _WARNING, "Programs can only use a single value below the name."),
    "esc-login": Rule("A remark on the login to Pulumi", _NOTE, "It does not stand in the way."),
}


def rule(name: str) -> Rule:
    """The row of a rule; one made from its name for a rule of a source that is not in the table."""
    return RULES.get(name) or Rule(name.replace("-", " ").capitalize(), _WARNING, "See the finding.")
