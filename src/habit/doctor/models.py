"""Models as ``habit ask`` would use them: their key, price and window, the local file, and whether they answer."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from habit.calls.budget import Budget
from habit.calls.call import Call, Message, Sampling
from habit.calls.catalogue import PROVIDERS, ProviderEntry, split_model
from habit.calls.kernel import Kernel
from habit.calls.provider import Provider
from habit.calls.retry import RetryPolicy
from habit.calls.usage import Usage
from habit.config import Settings
from habit.doctor.findings import Finding, in_thread
from habit.errors import CallFailed, HabitError, UsageError
from habit.journal.memory import MemoryStore
from habit.journal.records import RunRecord
from habit.local.models import KNOWN, LocalModel, find
from habit.models import Models, default_model, is_local

_REPLY_TOKENS = 64
"""Room for a reply of one word, with a few tokens of thinking before it."""
_BLOCK = 4 << 20


def configured(settings: Settings) -> bool:
    """Whether somebody named a model, so that asking it is what they want."""
    return settings.model is not None


async def look_at_models(settings: Settings, models: Models, *, ask: bool) -> list[Finding]:
    """What is known of the root and the leaf model; with ``ask``, whether they answer, for the price of a word each."""
    try:
        root_name = settings.model if settings.model else await in_thread(lambda: default_model(settings))
    except UsageError as error:
        said, _, way_on = str(error).partition(". ")
        return [Finding("model", "warning", f"{said.rstrip('.')}.", way_on)]
    names = list(dict.fromkeys([root_name, settings.leaf_model or root_name]))
    findings = []
    for name in names:
        findings += await _before_asking(name, settings)
    if any(finding.grade == "problem" for finding in findings):
        return findings
    if not ask and any(is_local(name) for name in names):
        said = "The local model was not asked: that would load it into memory."
        return [*findings, Finding("model", "ok", said, "Ask it with: habit doctor --online.")]
    try:
        root, leaf = await models.open_pair(settings, Budget())
    except UsageError as error:
        return [*findings, Finding("model", "problem", str(error))]
    for provider in dict.fromkeys([root, leaf]):
        findings.append(_price(provider))
        if ask:
            findings.append(await _answer(provider))
    if not ask:
        findings.append(Finding("model", "ok", f"{root_name} was not asked.", "Ask it with: habit doctor --online."))
    return findings


async def _before_asking(name: str, settings: Settings) -> list[Finding]:
    if is_local(name):
        return [await in_thread(lambda: _local_file(name))]
    return [_key(name, settings)]


def _local_file(name: str) -> Finding:
    """Whether the local model is there and is the one that was published."""
    wanted = name.removeprefix("local").removeprefix(":")
    try:
        model = find(wanted) if wanted else find()
    except UsageError as error:
        return Finding("model", "problem", str(error))
    if model is None:
        return Finding("model", "problem", f"{name} is not on this machine yet.", "Fetch it with: habit models pull.")
    what = f"{name}: {model.path}, {model.size / 1e9:.2f} GB"
    details = {"path": str(model.path), "bytes": model.size}
    expected = next((known.sha256 for known in KNOWN.values() if known.name == model.name), None)
    if expected is None:
        return Finding("model", "ok", f"{what}; no checksum of it is known.", details=details)
    found = _sha256(model)
    if found != expected:
        remedy = f"Fetch it again with: habit models rm {model.name} && habit models pull {model.name}"
        return Finding("model", "problem", f"{what}, and its checksum is wrong.", remedy, {**details, "sha256": found})
    return Finding("model", "ok", f"{what}, checksum as published.", details={**details, "sha256": found})


def _sha256(model: LocalModel) -> str:
    digest = hashlib.sha256()
    with Path(model.path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _key(name: str, settings: Settings) -> Finding:
    """Which variable holds the key of ``name``; never the key."""
    try:
        provider, _ = split_model(name, settings.base_url)
    except UsageError as error:
        return Finding("key", "problem", str(error))
    entry = PROVIDERS[provider] if provider else ProviderEntry(("OPENAI_API_KEY",))
    variables = ("HABIT_API_KEY", *entry.keys) if settings.base_url is not None else entry.keys
    present = [variable for variable in variables if os.environ.get(variable)]
    details = {"variables": list(variables), "set": present}
    if settings.base_url_from_file:
        said = f"{name}: the base URL stands in a project's file, so no key is sent to it."
        return Finding("key", "ok", said, "To send one, give the address with --base-url.", details)
    if present:
        return Finding("key", "ok", f"{name}: the key is in {present[0]}.", details=details)
    own_address = settings.base_url or entry.default_url or os.environ.get(entry.url_variable or "")
    if not variables or own_address:
        return Finding("key", "ok", f"{name}: there is no key, and it may need none.", details=details)
    said = f"{name} needs a key, and {' or '.join(variables)} is not set."
    return Finding("key", "problem", said, f"Set it with: export {variables[0]}=…", details)


def _price(provider: Provider) -> Finding:
    """What ``provider`` charges and holds, as far as it is known."""
    million_in, million_out = provider.price(1_000_000, 0), provider.price(0, 1_000_000)
    window = f"a window of {provider.window:,} tokens"
    details = {
        "model": provider.model,
        "window": provider.window,
        "usd_per_million_input_tokens": million_in,
        "usd_per_million_output_tokens": million_out,
    }
    if million_in is None or million_out is None:
        remedy = (
            "Limit runs with --max-tokens or --max-calls instead, and give its window with --window N if it is wrong."
        )
        said = f"{provider.model}: no price is known, so --max-usd cannot be used; {window}."
        return Finding("price", "warning", said, remedy, details)
    cost = f"${million_in:.2f} in and ${million_out:.2f} out for a million tokens" if million_out else "free"
    return Finding("price", "ok", f"{provider.model}: {cost}, {window}.", details=details)


async def _answer(provider: Provider) -> Finding:
    """Ask for one word, through the kernel like every other call, and say what it cost."""
    store = MemoryStore()
    run = RunRecord("doctor", "habit doctor", time.time(), {}, {})
    await store.add_run(run)
    kernel = Kernel(
        provider, provider, store=store, run_id=run.id, budget=Budget(max_calls=1), retry=RetryPolicy(attempts=1)
    )
    sampling = Sampling(max_tokens=_REPLY_TOKENS)
    call = Call(provider.model, (Message("user", "Reply with the word: ready"),), "leaf", sampling=sampling)
    began = time.monotonic()
    try:
        await kernel.call(call)
    except CallFailed as failure:
        if failure.reason != "empty":  # a model that thinks first may use up the few tokens it was given
            return _unreachable(provider, failure, kernel.usage)
    except HabitError as error:
        return Finding("model", "problem", str(error))
    usage = kernel.usage
    tokens = usage.leaf.input_tokens + usage.leaf.output_tokens
    cost = "price unknown" if usage.usd is None else f"${usage.usd:.6f}"
    said = f"{provider.model} answers, in {time.monotonic() - began:.1f} s, for {tokens} tokens ({cost})."
    return Finding("model", "ok", said, details={"usage": usage.to_json()})


_REMEDIES = {
    "connection": "Check the network and the address; a server on this machine has to be started first.",
    "timeout": "Check the network, or try again later.",
    "rate_limited": "Wait a while, or lower --concurrency.",
    "server": "Try again later: the fault is the server's.",
    "rejected": "Check the key, the model's name and --base-url.",
}


def _unreachable(provider: Provider, failure: CallFailed, usage: Usage) -> Finding:
    remedy = _REMEDIES.get(failure.reason, "Try another model with --model M.")
    details = {"reason": failure.reason, "usage": usage.to_json()}
    return Finding("model", "problem", f"{provider.model} does not answer: {failure}", remedy, details)
