"""Expressions are parsed once, and their trees walked with the types of nodes remembered.

moto parses an update expression twice for every request, copies its tree by pickle's protocol,
tests every node against ten abstract classes, and validates every branch although validating the
whole tree covers it. The rules stay moto's.
"""

from collections import deque
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.parsing import ast_nodes, expressions
from moto.dynamodb.parsing.validators import ActionCountValidator, OverlappingPathsValidator

from infra.local.patching import replace_all

# moto leaves these modules untyped.
Expression: Any = vars(ast_nodes)["Expression"]
Node: Any = vars(ast_nodes)["Node"]
Traverser: Any = vars(ast_nodes)["DepthFirstTraverser"]
UpdateExpressionFunction: Any = vars(ast_nodes)["UpdateExpressionFunction"]
UpdateExpressionParser: Any = vars(expressions)["UpdateExpressionParser"]

_moto_make: Callable[[str], Any] = UpdateExpressionParser.make
_moto_lex: Callable[[Any], Any] = ConditionExpressionParser._lex_condition_expression


def install() -> None:
    replace_all(
        [
            (UpdateExpressionParser, "make", staticmethod(lru_cache(maxsize=1024)(_moto_make))),
            (Traverser, "traverse", _traverse),
            (ActionCountValidator, "traverse", _validate_root),
            (OverlappingPathsValidator, "traverse", _validate_root),
            (Node, "__deepcopy__", _deepcopy),
            (Node, "find_clauses", _find_clauses),
            (ConditionExpressionParser, "_lex_condition_expression", _lex),
        ]
    )


@lru_cache(maxsize=1024)
def _tokens(expression: str) -> tuple[Any, ...]:
    return tuple(_moto_lex(ConditionExpressionParser(expression, None, None)))


def _lex(parser: ConditionExpressionParser) -> deque[Any]:
    return deque(_tokens(parser.condition_expression or ""))


@cache
def _is_node(kind: Any) -> bool:
    return issubclass(kind, Node)


@cache
def _holds_clauses(kind: Any) -> bool:
    return issubclass(kind, Expression | UpdateExpressionFunction)


@cache
def _processed_as(kind: Any, kinds: tuple[Any, ...]) -> Any:
    return next((candidate for candidate in kinds if issubclass(kind, candidate)), None)


def _kind(node: Any) -> Any:
    return type(node)


def _traverse(traverser: Any, root: Any) -> Any:
    processors = traverser._processing_map()
    kinds = tuple(processors)
    has_hook = type(traverser).pre_processing_of_child is not Traverser.pre_processing_of_child

    def visit(node: Any, child_id: int) -> Any:
        parent = node.parent
        for number, child in enumerate(node.children or ()):
            if has_hook:
                traverser.pre_processing_of_child(node, number)
            if _is_node(_kind(child)):
                visit(child, number)
        kind = _processed_as(_kind(node), kinds)
        if kind is not None:
            node = processors[kind](node)
            node.parent = parent
            if parent:
                parent.children[child_id] = node
        return node

    return visit(root, -1)


def _validate_root(traverser: Any, root: Any) -> Any:
    """For validators that search the tree below a node: the root's tree includes every branch."""
    (validate,) = traverser._processing_map().values()
    return validate(root)


def _find_clauses(node: Any, clause_types: list[type]) -> list[Any]:
    clauses: list[Any] = []
    for child in node.children or ():
        if type(child) in clause_types:
            clauses.append(child)
        elif _holds_clauses(_kind(child)):
            clauses.extend(child.find_clauses(clause_types))
    return clauses


def _deepcopy(node: Any, memo: dict[int, Any]) -> Any:
    """A tree fresh from the parser holds nodes and plain values, and shares nothing."""
    twin = object.__new__(type(node))
    twin.__dict__.update(node.__dict__)
    twin.parent = None
    if node.children is not None:
        twin.children = [_deepcopy(c, memo) if _is_node(_kind(c)) else c for c in node.children]
        for child in twin.children:
            if _is_node(_kind(child)):
                child.parent = twin
    return twin
