"""Effects: what a statement binds, may change, and uses; conservative wherever Python does not tell.

Values may be shared between names (``a = rows[0]`` is a part of ``rows``), functions change what they close over, and
iterators change by being read. Names that may share structure are kept in groups: who changes one changes them all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from habit.library.crystallise.scopes import (
    COMPREHENSIONS,
    FUNCTIONS,
    Function,
    all_arguments,
    body_of,
    bound,
    declared_outer,
    own_nodes,
    parameters_of,
    used,
    words,
)
from habit.library.crystallise.unchanging import unchanging

_READING = words("""
    split rsplit splitlines strip lstrip rstrip lower upper title capitalize casefold swapcase replace join
    startswith endswith find rfind index rindex count encode decode format format_map partition rpartition
    removeprefix removesuffix isdigit isalpha isalnum isnumeric isdecimal isspace isupper islower istitle
    isidentifier zfill center ljust rjust expandtabs translate get items keys values copy most_common elements total
    group groups groupdict start end span match search fullmatch findall finditer sub subn isoformat strftime date
    time timestamp weekday isoweekday total_seconds days union intersection difference issubset issuperset
    isdisjoint symmetric_difference as_integer_ratio is_integer bit_length head tail groupby sum mean median std min
    max describe info value_counts nunique unique sort_values sort_index reset_index set_index merge apply agg
    aggregate map to_dict iterrows itertuples query nlargest nsmallest drop dropna fillna rename astype isin
    contains tolist to_list assign filter size quantile cumsum diff shift duplicated drop_duplicates to_string
    transpose round abs idxmax idxmin any all
""")
"""Methods that leave their object as it was."""
_FRESH_METHODS = words("""
    split rsplit splitlines strip lstrip rstrip lower upper title capitalize casefold swapcase replace join startswith
    endswith find rfind index rindex count encode decode format partition rpartition removeprefix removesuffix zfill
    isdigit isalpha isalnum group groups groupdict start end span sub strftime isoformat timestamp keys
    findall
    """)
"""Methods whose result shares nothing that could be changed."""
_FRESH = words("""
    len int float str bool sum abs round repr ord chr range Counter set frozenset hash any all isinstance print format
    divmod pow type recursive_llm ask_each classify find parts input hex bin
    """)
_CHANGING_FUNCTIONS = frozenset(
    {"shuffle", "heappush", "heappop", "heapify", "heappushpop", "heapreplace", "insort", "insort_left", "insort_right"}
)
_PURE_MODULES = words("""
    re json math collections itertools datetime statistics string csv io textwrap functools operator decimal fractions
    calendar unicodedata difflib html pandas numpy pd np bisect heapq random time dateutil urllib hashlib base64 typing
    dataclasses enum
    """)
_ITERATORS = words(
    "iter zip map filter enumerate reversed reader DictReader finditer StringIO chain islice groupby count cycle"
)
_BUILTIN_READERS = words("""
    len int float str bool sum abs round repr ord chr range set frozenset hash any all isinstance print format list
    tuple dict sorted reversed zip enumerate map filter min max iter divmod pow type callable Counter defaultdict
    recursive_llm ask_each ask_each_or_error classify find parts table deque OrderedDict namedtuple bytes slice id
    """)


@dataclass
class FunctionFacts:
    """What calling a function of the program does to the names around it."""

    uses: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    changed_parameters: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Effects:
    """Of one statement."""

    binds: frozenset[str]
    """Bound afresh, whatever they were."""
    changes: frozenset[str]
    """What may be another afterwards."""
    uses: frozenset[str]


class Facts:
    """What holds of the names of a whole program, wherever they are used."""

    def __init__(self, program: Sequence[ast.stmt]) -> None:
        nodes = [node for statement in program for node in ast.walk(statement)]
        self.modules = {
            alias.asname or alias.name.partition(".")[0]: alias.name.partition(".")[0]
            for node in nodes
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        self.modules |= {name: name for name in _PURE_MODULES if name not in bound(program)}
        self._definitions: dict[str, list[Function]] = {}
        self._classes = {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        for node in nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self._definitions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        self._definitions.setdefault(target.id, []).extend(_lambdas_in(node.value))
        self.functions: dict[str, FunctionFacts] = {
            name: FunctionFacts() for name, nodes_ in self._definitions.items() if nodes_
        }
        self._unchanging = unchanging(nodes, self._definitions)
        self._groups = _Groups()
        self._iterators: set[str] = set()
        for node in nodes:
            self._note_sharing(node)
        while self._spread_iterators(nodes):
            pass
        while self._spread_functions():
            pass

    def effects(self, node: ast.stmt) -> Effects:
        """Of a simple statement, or of the head of a compound one."""
        binds = bound(node)
        changes = set(self._changes(node)) | {
            name for inner in own_nodes([node]) if isinstance(inner, ast.AugAssign) for name in bound(inner.target)
        }
        group = {name for change in changes for name in self._groups.of(change)}
        return Effects(frozenset(binds), frozenset(changes | group), frozenset(self.uses(node)))

    def uses(self, node: ast.AST | Iterable[ast.AST]) -> set[str]:
        """What ``node`` uses, with what the functions use that it may call."""
        direct = used(node)
        reached = {name for one in direct for name in (one, *self._groups.of(one))} & set(self.functions)
        return direct | {name for function in reached for name in self.functions[function].uses}

    # -- what is changed ---------------------------------------------------------------------------------------------

    def _changes(self, root: ast.AST, *, inside: bool = False) -> Iterator[str]:
        nodes = ast.walk(root) if inside else _evaluated(root)
        for node in nodes:
            if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
                yield from _roots(node)
            elif isinstance(node, ast.Call):
                yield from self._changed_by_call(node)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in self._iterators:
                yield node.id
            elif isinstance(node, ast.NamedExpr):
                yield from bound(node.target)

    def _changed_by_call(self, node: ast.Call) -> Iterator[str]:
        arguments = [*node.args, *(word.value for word in node.keywords)]
        in_place = any(word.arg == "inplace" for word in node.keywords)
        match node.func:
            case ast.Attribute(value=value, attr=method):
                roots = set(_roots(value))
                module = next((self.modules[name] for name in roots if name in self.modules), None)
                if module is None:
                    if method not in _READING or in_place:
                        yield from roots
                    if method not in _READING and method not in _CONTAINER_METHODS:
                        yield from _all_roots(arguments)
                elif method in _CHANGING_FUNCTIONS or module not in _PURE_MODULES:
                    yield from _all_roots(arguments)
            case ast.Name(id=name) if name in self.functions:
                facts = self.functions[name]
                yield from facts.changes
                if facts.changed_parameters:
                    yield from self._changed_arguments(name, node)
            case ast.Name(id="next"):
                yield from _all_roots(arguments)
            case ast.Name(id=name) if name in _BUILTIN_READERS or name in self._classes:
                for argument in arguments:  # functions given to map, filter, sorted
                    if isinstance(argument, ast.Name) and argument.id in self.functions:
                        yield from self.functions[argument.id].changes
                        if self.functions[argument.id].changed_parameters:
                            yield from _all_roots(arguments)
            case _:
                yield from _all_roots(arguments)

    def _changed_arguments(self, name: str, node: ast.Call) -> Iterator[str]:
        changed = self.functions[name].changed_parameters
        names = {argument.arg for function in self._definitions[name] for argument in all_arguments(function)}
        if any(isinstance(argument, ast.Starred) for argument in node.args) or not changed <= names:
            yield from _all_roots(node.args)
            return
        for function in self._definitions[name]:
            for parameter, argument in zip(all_arguments(function), node.args, strict=False):
                if parameter.arg in changed:
                    yield from _all_roots([argument])
            for word in node.keywords:
                if word.arg is None or word.arg in changed:
                    yield from _all_roots([word.value])

    # -- what is shared ----------------------------------------------------------------------------------------------

    def _note_sharing(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._share(_all_roots([target]), value)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self._share(_all_roots([target]), value)
            case ast.AugAssign(target=target, value=value) | ast.NamedExpr(target=target, value=value):
                self._share(_all_roots([target]), value)
            case ast.For(target=target, iter=iterated) | ast.comprehension(target=target, iter=iterated):
                self._share(_all_roots([target]), iterated)
            case ast.withitem(context_expr=value, optional_vars=target) if target is not None:
                self._share(_all_roots([target]), value)
            case ast.Call(func=ast.Attribute(value=value)):
                arguments = [*node.args, *(word.value for word in node.keywords)]
                if not any(name in self.modules for name in _roots(value)):
                    for argument in arguments:
                        self._share(list(_roots(value)), argument)
            case ast.Call(func=ast.Name(id=name)) if name in self._definitions:
                for function in self._definitions[name]:
                    for parameter, argument in zip(all_arguments(function), node.args, strict=False):
                        self._share([parameter.arg], argument)
                    for word in node.keywords:
                        if word.arg:
                            self._share([word.arg], word.value)

    def _share(self, names: Iterable[str], value: ast.expr) -> None:
        apart = self._unchanging | self.modules.keys()
        for name in names:
            for other in _shared(value):
                if name not in apart and other not in apart:
                    self._groups.join(name, other)

    def _spread_iterators(self, nodes: Sequence[ast.AST]) -> bool:
        before = len(self._iterators)
        generators = {
            name
            for name, functions in self._definitions.items()
            for function in functions
            if any(isinstance(part, (ast.Yield, ast.YieldFrom)) for part in own_nodes(body_of(function)))
        }
        for node in nodes:
            if isinstance(node, ast.Assign) and self._is_iterator(node.value, generators):
                for target in node.targets:
                    self._iterators |= bound(target)
            elif isinstance(node, ast.withitem) and self._is_iterator(node.context_expr, generators):
                self._iterators |= bound(node.optional_vars) if node.optional_vars is not None else set()
        return len(self._iterators) > before

    def _is_iterator(self, value: ast.expr, generators: set[str]) -> bool:
        match value:
            case ast.GeneratorExp():
                return True
            case ast.Name(id=name):
                return name in self._iterators
            case ast.Call(func=ast.Name(id=name)):
                return name in _ITERATORS or name in generators
            case ast.Call(func=ast.Attribute(attr=name)):
                return name in _ITERATORS and name not in ("count", "groupby")
        return False

    # -- functions ---------------------------------------------------------------------------------------------------

    def _spread_functions(self) -> bool:
        grown = False
        for name, facts in self.functions.items():
            for function in self._definitions[name]:
                own = parameters_of(function) | bound(body_of(function))
                outer = declared_outer(function)
                changed = {change for part in body_of(function) for change in self._changes(part, inside=True)}
                changed |= {member for change in changed for member in self._groups.of(change)}
                changed |= outer
                size = len(facts.uses) + len(facts.changes) + len(facts.changed_parameters)
                facts.uses |= self.uses([function]) | outer
                facts.changes |= changed - (own - outer)
                facts.changed_parameters |= changed & parameters_of(function)
                grown |= size != len(facts.uses) + len(facts.changes) + len(facts.changed_parameters)
        return grown


_CONTAINER_METHODS = words(
    """
    append add insert extend update setdefault pop remove discard clear sort reverse appendleft popleft extendleft
    subtract popitem move_to_end writerow write
    """
)


class _Groups:
    """Names in groups that may share structure."""

    def __init__(self) -> None:
        self._group: dict[str, set[str]] = {}

    def join(self, one: str, other: str) -> None:
        first, second = self.of(one), self.of(other)
        if first is second:
            return
        together = first | second
        for name in together:
            self._group[name] = together

    def of(self, name: str) -> set[str]:
        return self._group.get(name) or {name}


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated with ``node``: not the bodies of functions, but those of lambdas, to be safe."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        if isinstance(current, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            waiting += current.decorator_list
        else:
            waiting += ast.iter_child_nodes(current)


def _roots(node: ast.expr) -> Iterator[str]:
    """The names whose values a place such as ``a.b[c]`` or ``a.get(b)`` belongs to."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value):
            yield from _roots(value)
        case ast.Call(func=ast.Attribute(value=value), args=arguments):
            yield from _roots(value)
            for argument in arguments:
                yield from _shared(argument)
        case ast.Call(args=arguments):
            for argument in arguments:
                yield from _shared(argument)
        case ast.IfExp(body=body, orelse=other):
            yield from _roots(body)
            yield from _roots(other)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _roots(value)


def _all_roots(nodes: Iterable[ast.expr]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        if isinstance(node, (ast.Tuple, ast.List)):
            found += _all_roots(node.elts)
        else:
            found += _roots(node)
    return found


def _shared(node: ast.expr | None) -> set[str]:
    """The names that the value of ``node`` may share something changeable with."""
    match node:
        case None:
            return set()
        case ast.Name(id=name):
            return {name}
        case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.UnaryOp():
            return set()
        case ast.BinOp(left=left, right=right, op=ast.Add() | ast.BitOr() | ast.Mult()):
            return _shared(left) | _shared(right)
        case ast.BinOp():
            return set()
        case ast.Call(func=ast.Name(id=name)) if name in _FRESH:
            return set()
        case ast.Call(func=ast.Attribute(attr=name)) if name in _FRESH_METHODS:
            return set()
        case ast.Call(func=function, args=arguments, keywords=words):
            parts = [*arguments, *(word.value for word in words)]
            own = _shared(function.value) if isinstance(function, ast.Attribute) else _shared(function)
            return own.union(*(_shared(part) for part in parts))
        case ast.Dict(values=values):
            return set().union(*(_shared(value) for value in values))
        case ast.Lambda():
            return used(node)
    if isinstance(node, COMPREHENSIONS):
        element = node.value if isinstance(node, ast.DictComp) else node.elt
        targets = {name for generator in node.generators for name in bound(generator.target)}
        shared = _shared(element)
        if shared & targets:
            shared = (shared - targets).union(*(_shared(generator.iter) for generator in node.generators))
        return shared
    return set().union(*(_shared(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)))


def _lambdas_in(node: ast.expr) -> list[Function]:
    return [inner for inner in ast.walk(node) if isinstance(inner, FUNCTIONS)]
