"""The expression language of aggregation pipelines: filters, computed columns, and both ends of a time series.

The language looks like C: `||`, `&&`, `!`, comparisons, `+ - * / %`, parentheses, dotted field paths, numbers, `null
true false`, functions, strings in double quotes or backticks, lists `[a, b]`, elements `x[0]` (negative from the end)
and parts `x[1:3]`. In double quotes only the escapes `\\\\` and `\\"` are accepted, because we know of no others. A
string in backticks has no escapes. `in [...]` is refused, as Pendo is reported to do.

Null (Pendo's API documentation, August 2025): A missing field is null. `&&` and `||` take null as false. `==` and `!=`
compare it as a value of its own. Every other operator gives null if one side is null, `!` and `-` too. A filter keeps
the rows that are true, so `!(missing >= 5)` drops a row as `missing >= 5` does. Arithmetic is for numbers only: a text
is an error. `<` and the like between a text and a number give false (inferred).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from simulators.pendo.functions import functions, is_number
from simulators.pendo.periods import Calendar

Evaluate: TypeAlias = Callable[[Mapping[str, Any]], Any]


class ExpressionError(ValueError):
    """The text is not a valid expression."""


@dataclass(frozen=True)
class Bound:
    """The lower bound that `path >= "value"` or `path > "value"` sets for rows that are sorted by `path`."""

    path: str
    value: str
    inclusive: bool


@dataclass(frozen=True)
class Expression:
    """A compiled expression. `bound` is set if the whole expression is one lower bound of a text column."""

    evaluate: Evaluate
    bound: Bound | None = None


@dataclass(frozen=True)
class _Node:
    evaluate: Evaluate
    path: str | None = None
    literal: Any = None
    bound: Bound | None = None


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>\d+\.\d+|\d+) | (?P<string>"(?:[^"\\]|\\.)*") | (?P<raw>`[^`]*`) |
    (?P<name>[A-Za-z_$][\w$]*(?:\.[A-Za-z_$\d][\w$]*)*) |
    (?P<op>\|\||&&|==|!=|<=|>=|[<>!()\[\]:+\-*/%,])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod}
_CONSTANTS = {"null": None, "true": True, "false": False}


def lookup(row: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path; None if a part of the path is missing."""
    value: Any = row
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def compile_expression(text: str, calendar: Calendar, now: int, *, parent_accounts: bool = False) -> Expression:
    """Compile a text. `now` is the value of `now()`. Raises ExpressionError."""
    if not isinstance(text, str):
        message = "an expression is a text"
        raise ExpressionError(message)
    node = _Parser(_tokens(text), functions(calendar, now, parent_accounts=parent_accounts)).parse()
    return Expression(node.evaluate, node.bound)


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            message = f"unexpected character at {position}"
            raise ExpressionError(message)
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], known: Mapping[str, Callable[..., Any]]) -> None:
        self._tokens = [*tokens, ("end", "")]
        self._at = 0
        self._functions = known

    def parse(self) -> _Node:
        node = self._level(0)
        if self._tokens[self._at][0] != "end":
            message = f"unexpected {self._tokens[self._at][1]}"
            raise ExpressionError(message)
        return node

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _accept(self, *symbols: str) -> str | None:
        kind, text = self._tokens[self._at]
        if kind == "op" and text in symbols:
            self._at += 1
            return text
        return None

    def _expect(self, symbol: str) -> None:
        if self._accept(symbol) is None:
            message = f"expected {symbol}"
            raise ExpressionError(message)

    def _level(self, level: int) -> _Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._level(level + 1)
        while symbol := self._accept(*_LEVELS[level]):
            node = _binary(symbol, node, self._level(level + 1))
        return node

    def _unary(self) -> _Node:
        if self._accept("!"):
            negated = self._unary().evaluate
            return _Node(lambda row: None if (value := negated(row)) is None else not value)
        if self._accept("-"):
            value = self._unary().evaluate
            return _Node(lambda row: _arithmetic("-", 0, value(row)))
        node = self._primary()
        while self._accept("["):
            node = self._element(node.evaluate)
        return node

    def _element(self, of: Evaluate) -> _Node:
        """`x[i]` or `x[i:j]`. An element that is not there is null (inferred)."""
        first = self._level(0).evaluate
        last = self._level(0).evaluate if self._accept(":") else None
        self._expect("]")

        def evaluate(row: Mapping[str, Any]) -> Any:
            values, start = of(row), first(row)
            if not isinstance(values, list) or not is_number(start):
                return None
            if last is not None:
                end = last(row)
                return values[int(start) : int(end)] if is_number(end) else None
            return values[int(start)] if -len(values) <= start < len(values) else None

        return _Node(evaluate)

    def _primary(self) -> _Node:
        kind, text = self._next()
        if kind == "number":
            return _literal(float(text) if "." in text else int(text))
        if kind == "string":
            return _literal(_unescape(text[1:-1]))
        if kind == "raw":
            return _literal(text[1:-1])
        if kind == "name":
            if self._accept("("):
                return self._call(text)
            if text in _CONSTANTS:
                return _literal(_CONSTANTS[text])
            return _Node(lambda row: lookup(row, text), path=text)
        if (kind, text) == ("op", "("):
            node = self._level(0)
            self._expect(")")
            return node
        if (kind, text) == ("op", "["):
            items = self._arguments("]")
            return _Node(lambda row: [item(row) for item in items])
        message = f"unexpected {text or 'end'}"
        raise ExpressionError(message)

    def _call(self, name: str) -> _Node:
        function = self._functions.get(name)
        if function is None:
            message = f"unknown function {name}"
            raise ExpressionError(message)
        arguments = self._arguments(")")

        def evaluate(row: Mapping[str, Any]) -> Any:
            try:
                return function(*(argument(row) for argument in arguments))
            except (TypeError, KeyError, ValueError, AttributeError) as error:
                message = f"bad arguments for {name}"
                raise ExpressionError(message) from error

        return _Node(evaluate)

    def _arguments(self, end: str) -> list[Evaluate]:
        """Expressions with commas between them, up to the closing symbol."""
        arguments: list[Evaluate] = []
        if not self._accept(end):
            arguments.append(self._level(0).evaluate)
            while self._accept(","):
                arguments.append(self._level(0).evaluate)
            self._expect(end)
        return arguments


def _literal(value: Any) -> _Node:
    return _Node(lambda _row: value, literal=value)


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        if match[1] not in '\\"':
            message = f"unknown escape \\{match[1]}"
            raise ExpressionError(message)
        return match[1]

    return _ESCAPE.sub(one, text)


def _binary(symbol: str, left: _Node, right: _Node) -> _Node:
    a, b = left.evaluate, right.evaluate
    if symbol == "||":
        return _Node(lambda row: bool(a(row)) or bool(b(row)))
    if symbol == "&&":
        return _Node(lambda row: bool(a(row)) and bool(b(row)))
    if symbol == "==":
        return _Node(lambda row: _equal(a(row), b(row)))
    if symbol == "!=":
        return _Node(lambda row: not _equal(a(row), b(row)))
    if symbol in _ORDER:
        bound = None
        if symbol in (">", ">=") and left.path is not None and isinstance(right.literal, str):
            bound = Bound(left.path, right.literal, symbol == ">=")
        return _Node(lambda row: _ordered(symbol, a(row), b(row)), bound=bound)
    return _Node(lambda row: _arithmetic(symbol, a(row), b(row)))


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _ordered(symbol: str, a: Any, b: Any) -> bool | None:
    # Texts are compared by code point, which equals the order of their UTF-8 bytes. The real collation is not known.
    if a is None or b is None:
        return None
    if (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str)):
        return bool(_ORDER[symbol](a, b))
    return False


def _arithmetic(symbol: str, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    if not (is_number(a) and is_number(b)):
        message = f"{symbol} is for numbers only"
        raise ExpressionError(message)
    return None if symbol in "/%" and b == 0 else _ARITHMETIC[symbol](a, b)
