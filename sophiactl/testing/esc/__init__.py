r"""An evaluator of Pulumi ESC environments in process: what stands behind the loopback server.

    world = World({"acme/base": "values: {region: eu}"})
    environment, _ = load("app", "imports: [acme/base]\nvalues: {url: 'https://${region}.example.com'}")
    evaluated, complaints = open_environment("app", environment, world)
    plain(evaluated.properties, reveal=True)        # {"region": "eu", "url": "https://eu.example.com"}

It behaves as the original evaluator does, to the words and places of its complaints. Nothing is rotated: `fn::rotate`
opens with the state that it has.
"""

from __future__ import annotations

from sophiactl.testing.esc.crypt import decrypt_definition, encrypt_definition
from sophiactl.testing.esc.declaration import Environment, load
from sophiactl.testing.esc.diagnostics import Diagnostic, Pos, Range
from sophiactl.testing.esc.evaluation import Evaluated, check_environment, open_environment
from sophiactl.testing.esc.number import Number
from sophiactl.testing.esc.providers import Provider, ProviderFailed, Rotator
from sophiactl.testing.esc.rendering import plain, text, wire
from sophiactl.testing.esc.values import Secretive, Value
from sophiactl.testing.esc.world import World

__all__ = [
    "Diagnostic",
    "Environment",
    "Evaluated",
    "Number",
    "Pos",
    "Provider",
    "ProviderFailed",
    "Range",
    "Rotator",
    "Secretive",
    "Value",
    "World",
    "check_environment",
    "decrypt_definition",
    "encrypt_definition",
    "load",
    "open_environment",
    "plain",
    "text",
    "wire",
]
