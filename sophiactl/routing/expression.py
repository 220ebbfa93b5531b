"""Reads a mathematical expression, plain or in LaTeX, and computes its value at fixed points of its variables.

A grammar of its own: nothing of a model's text is ever executed, and depth and size are bounded.
"""

from __future__ import annotations

import cmath
import math
import re

_DEEPEST = 40
_LARGEST = 1e300
_POINTS = (0.7310585, 1.6487213)
_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(\\?[a-zA-Z]+|[πθφαβγλ])|(.))", re.DOTALL)
_FUNCTIONS = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "ln": cmath.log, "log": cmath.log, "exp": cmath.exp,
    "arctan": cmath.atan, "arcsin": cmath.asin, "arccos": cmath.acos,
}  # fmt: skip


def evaluate(text: str) -> tuple[complex, ...] | None:
    """The expression's values at each fixed point; None where it is no expression, or not finite."""
    # Relations and alternatives are no values: they are compared as text.
    if re.search(r"[<>≤≥≠±∪∩∈=…:;]", text):
        return None
    try:
        found = tuple(_Reader(text, point).whole() for point in _POINTS)
    except (ValueError, ArithmeticError, IndexError):
        return None
    return found if all(cmath.isfinite(value) and abs(value) < _LARGEST for value in found) else None


class _Reader:
    """Recursive descent over one expression, computing as it reads. Raises `ValueError` where it is none."""

    def __init__(self, text: str, point: float) -> None:
        self.tokens = [found for found in _TOKEN.findall(text.strip()) if any(found)]
        self.at = 0
        self.depth = 0
        self.point = point

    def whole(self) -> complex:
        value = self.sum()
        if self.peek() == "%":
            self.at += 1
        if self.at != len(self.tokens):
            raise ValueError("rest")
        return value

    def peek(self) -> str:
        return "".join(self.tokens[self.at]) if self.at < len(self.tokens) else ""

    def take(self, sign: str) -> None:
        if self.peek() != sign:
            raise ValueError(sign)
        self.at += 1

    def sum(self) -> complex:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError("depth")
        value = self.product()
        while self.peek() in {"+", "-"}:
            sign = 1 if self.peek() == "+" else -1
            self.at += 1
            value += sign * self.product()
        self.depth -= 1
        return value

    def product(self) -> complex:
        value, joined = self.signed(), False
        while True:
            sign = self.peek()
            if sign in {"*", "/"}:
                self.at += 1
                right = self.signed()
                value = value * right if sign == "*" else value / right
            elif sign and (sign in "({" or sign[0].isalnum() or sign[0] in "\\π"):
                # Beside each other means times, but 1 1/2 and 1\frac{1}{2} are mixed numbers.
                value = self._mixed(value) if not joined and self._is_mixed() else value * self.power()
                joined = True
            else:
                return value

    def _is_mixed(self) -> bool:
        before = self.tokens[self.at - 1][0]
        if not before.isdigit():
            return False
        ahead = [("".join(token)) for token in self.tokens[self.at : self.at + 5]]
        if ahead[0] == "\\frac":
            return len(ahead) == 5 and ahead[1] == "{" and ahead[2].isdigit() and ahead[3] == "}"
        return len(ahead) >= 3 and ahead[0].isdigit() and ahead[1] == "/" and ahead[2].isdigit()

    def _mixed(self, whole: complex) -> complex:
        if self.peek() == "\\frac":
            part = self.power()
        else:
            top = self.power()
            self.take("/")
            part = top / self.power()
        return whole - part if whole.real < 0 else whole + part

    def signed(self) -> complex:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise ValueError("depth")
        if self.peek() in {"+", "-"}:
            sign = 1 if self.peek() == "+" else -1
            self.at += 1
            value = sign * self.signed()
        else:
            value = self.power()
        self.depth -= 1
        return value

    def power(self) -> complex:
        value = self.atom()
        while self.peek() == "!":
            self.at += 1
            if value.imag or value.real != int(value.real) or not 0 <= value.real <= 100:
                raise ValueError("factorial")
            value = complex(math.factorial(int(value.real)))
        if self.peek() == "^":
            self.at += 1
            return value ** (self.signed() if self.peek() != "{" else self.braced())
        return value

    def braced(self) -> complex:
        self.take("{")
        value = self.sum()
        self.take("}")
        return value

    def atom(self) -> complex:
        digits, name, sign = self.tokens[self.at]
        self.at += 1
        if digits:
            return complex(float(digits))
        if name:
            return self._named(name)
        closing = {"(": ")", "{": "}", "[": "]", "|": "|"}.get(sign)
        if closing is None:
            raise ValueError(sign)
        value = self.sum()
        self.take(closing)
        return complex(abs(value)) if sign == "|" else value

    def _named(self, name: str) -> complex:
        bare = name.removeprefix("\\")
        if bare == "frac" and name != bare:
            return self.braced() / self.braced()
        if bare == "sqrt":
            return self._root()
        if bare in _FUNCTIONS:
            return complex(_FUNCTIONS[bare](self.power()))
        if bare in {"π", "pi"}:
            return complex(math.pi)
        if bare == "i":
            return 1j
        if bare == "e":
            return complex(math.e)
        if name != bare or len(bare) <= 2:
            value = complex(1)
            for letter in bare if name == bare else (bare,):
                value *= self.point + sum(map(ord, letter)) % 97 / 89
            return value
        raise ValueError(name)

    def _root(self) -> complex:
        degree = complex(2)
        if self.peek() == "[":
            self.at += 1
            degree = self.sum()
            self.take("]")
        value = self.braced() if self.peek() == "{" else self.atom()
        return cmath.sqrt(value) if degree == 2 else value ** (1 / degree)
