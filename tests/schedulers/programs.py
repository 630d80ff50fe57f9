"""Random cell programs over a pure oracle: what models write in loops, and what they should not."""

from __future__ import annotations

import random
import zlib

PREPARE = "import json\nn, s, last, out, d = 0, '', 'none', [], {}"
REPORT = "answer(repr((n, s, last, out, sorted(d.items()))))"
CHILD = "answer(' '.join(llm_query(f'child {i} of {context[:8]}') for i in range(3)))"


def oracle(prompt: str, seed: int) -> str | None:
    """The reply to ``prompt``, the same each time; None for a call that fails."""
    chance = random.Random(f"{seed} {prompt}")
    if "a JSON number" in prompt or "integer" in prompt:
        return str(chance.randrange(5))
    pick = chance.random()
    if pick < 0.03:
        return None
    if pick < 0.5:
        return chance.choice(["yes", "no", "7"])
    return chance.choice(["no", "maybe 3", '{"k": 1}', "12", "", "yes: " + "x" * chance.randrange(5)])


class Programs:
    """Makes the cells of one random program; ``full`` where the sandbox knows all of Python."""

    def __init__(self, seed: int, *, full: bool) -> None:
        self._chance = random.Random(seed)
        self._full = full
        self._names = 0

    def cells(self) -> list[str]:
        """A program: cells in order, of which the last answers."""
        made = [PREPARE + "\n" + self._define()]
        made += ["\n".join(self._statement(0) for _ in range(self._below(1, 4))) for _ in range(self._below(1, 4))]
        return [*made, REPORT]

    def _below(self, low: int, high: int) -> int:
        return self._chance.randrange(low, high)

    def _maybe(self, part: float) -> bool:
        return self._chance.random() < part

    def _name(self) -> str:
        self._names += 1
        return f"v{self._names}"

    def _define(self) -> str:
        lines = ["def ask(p, more=''):", f"    return {self._call('p')}"]
        if self._maybe(0.4):
            lines += ["def twice(p):", "    r = ask(p)", "    return ask(p, r) if 'y' in r else r"]
        else:
            lines += ["def twice(p):", "    return ask(p) + ask('again ' + str(p))"]
        return "\n".join(lines)

    def _items(self) -> str:
        return self._chance.choice(
            [
                f"range({self._below(2, 12)})",
                f"context.split()[:{self._below(2, 10)}]",
                "['a', 'b', 'a', 'b', 'c']",
                f"[i % 3 for i in range({self._below(3, 9)})]",
            ]
        )

    def _call(self, item: str) -> str:
        """An expression that asks, and gives a text."""
        number = self._below(0, 4)
        forms = [
            f"llm_query(f'Q{number} {{{item}}}')",
            f"llm_query(f'{{{item}}} is it? {number}')",
            f"recursive_llm('Q{number}?', str({item}))",
            f"str(recursive_llm('How many? {number}', str({item}), returns=int))",
            f"llm_query(f'{{{item}}} after {{last}}')",
            f"''.join(map(str, llm_query_batched([f'{{{item}}} part {{j}}' for j in range(2)])))",
            f"recursive_llm_map('M{number}', [str({item}), 'same'], on_error='return')[1 - {number} % 2].__str__()"
            if self._full
            else f"llm_query(f'M{number} {{{item}}}')",
        ]
        if self._maybe(0.05):
            return f"rlm_query(f'look at {{{item}}}')"
        return self._chance.choice(forms)

    def _asking(self, item: str) -> str:
        return self._chance.choice([self._call(item), self._call(item), f"ask({item})", f"twice({item})"])

    def _statement(self, depth: int) -> str:
        kinds = [self._for, self._for, self._comprehension, self._while, self._single, self._trying, self._any]
        if self._full:
            kinds += [self._threads, self._gather]
        return self._chance.choice(kinds)(depth)

    def _single(self, depth: int) -> str:
        return f"last = {self._asking(str(self._below(0, 5)))}\nprint(last)"

    def _absorb(self, item: str) -> list[str]:
        """What becomes of the reply ``r``."""
        end = "break"
        options = [
            ["out.append(r)"],
            ["n += len(r)"],
            ["if 'y' in r:", "    n += 1"],
            [f"if r == 'no' and {item} != {item}:", "    break"],
            ["if r == '7':", f"    {end}"],
            ["if r.startswith('m'):", "    continue"],
            ["last = r"],
            ["s += r[:2]"],
            ["try:", "    n += json.loads(r)['k']", "except (ValueError, TypeError, KeyError):", "    n -= 1"],
            ["if 'maybe' in r:", f"    out.append({self._call(item)})"],
            [f"d[str({item})] = r"],
            ["print(r)"],
        ]
        rare = [
            ["n += int(r)"],
            ["if r == '':", "    raise ValueError(s)"],
            ["if '{' in r:", "    answer(repr((n, s, r)))"],
            ["print(n, len(out))"],
        ]
        lines = [line for _ in range(self._below(1, 4)) for line in self._chance.choice(options)]
        return lines + (self._chance.choice(rare) if self._maybe(0.12) else [])

    def _for(self, depth: int) -> str:
        item = self._name()
        body = [f"r = {self._asking(item)}", *self._absorb(item)]
        if depth == 0 and self._maybe(0.2):
            body += self._for(1).splitlines()
        if self._maybe(0.15):
            body += [f"r = {self._asking(item)}", *self._absorb(item)]
        return "\n".join([f"for {item} in {self._items()}:", *(f"    {line}" for line in body)])

    def _while(self, depth: int) -> str:
        turn = self._name()
        body = [f"{turn} += 1", f"r = {self._asking(turn)}", *self._absorb(turn)]
        return "\n".join(
            [f"{turn}, r = 0, ''", f"while {turn} < {self._below(2, 9)} and r != 'no':", *(f"    {x}" for x in body)]
        )

    def _comprehension(self, depth: int) -> str:
        item = self._name()
        call, items = self._asking(item), self._items()
        filtered = f" if str({item}) != 'b'" if self._maybe(0.3) else ""
        return self._chance.choice(
            [
                f"out += [{call} for {item} in {items}{filtered}]",
                f"d.update({{str({item}): {call} for {item} in {items}{filtered}}})",
                f"s += ''.join([{call}[:1] for {item} in {items}{filtered}])",
                f"n += sum([len({call}) for {item} in {items}{filtered}])",
                f"out += [{item} for {item} in {items} if 'y' in {call}]",
                f"out += sorted({items}, key=lambda {item}: {call})",
            ]
        )

    def _any(self, depth: int) -> str:
        item = self._name()
        return f"n += any([{self._asking(item)} == 'yes' for {item} in {self._items()}])"

    def _trying(self, depth: int) -> str:
        inner = "\n".join(f"    {line}" for line in self._for(1).splitlines())
        return f"try:\n{inner}\nexcept (CallFailed, ValueError) as problem:\n    print('failed', n)"

    def _threads(self, depth: int) -> str:
        safe = self._name()  # a failure would stop the others at a moment that depends on their timing
        return (
            "from concurrent.futures import ThreadPoolExecutor\n"
            f"def {safe}(x):\n    try:\n        return {self._call('x')}\n"
            "    except CallFailed:\n        return 'failed'\n"
            f"with ThreadPoolExecutor({self._below(1, 5)}) as pool:\n"
            f"    out += [str(x) for x in pool.map({safe}, {self._items()})]"
        )

    def _gather(self, depth: int) -> str:
        template = self._below(0, 3)
        return (
            f"replies = await asyncio.gather(*[llm_query(f'G{template} {{x}}') for x in {self._items()}], "
            "return_exceptions=True)\nout += map(str, replies)\n"
            f"for x in range({self._below(1, 5)}):\n    last = await recursive_llm('then {template}', str(x))"
        )


def delay(prompt: str) -> float:
    """Seconds a model takes; they differ, so that replies overtake one another."""
    return (zlib.crc32(prompt.encode()) % 4 + 1) / 1000
