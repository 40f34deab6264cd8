"""The status page: what this instance serves just now, for its operator's eyes.

Every word that comes from elsewhere is escaped; no text of a conversation comes near.
"""

from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import Final

from motherfluxer_model import __version__
from motherfluxer_model.link import LinkState
from motherfluxer_model.overview import EngineState, Overview
from motherfluxer_wire.fields import FailureCode


@dataclass(frozen=True, slots=True)
class Words:
    """A standing in words: its mark's class, the word, and what it means."""

    mark: str
    word: str
    meaning: str


class Standing(Enum):
    """How the instance stands as a whole."""

    SERVING = Words("is-good", "Serving", "Jobs of the site are answered here.")
    DRAINING = Words(
        "is-waiting", "Draining", "Running answers are finished, no new ones are taken."
    )
    LOADING = Words(
        "is-waiting",
        "Loading",
        "The model is fetched or loaded; the log shows how far it is.",
    )
    CONNECTING = Words("is-waiting", "Connecting", "The model is loaded; the router is dialled.")
    RESTARTING = Words(
        "is-bad",
        "Engine down",
        "The engine broke and is being started again; the log says why.",
    )
    FAILED = Words("is-bad", "Failed", "The model cannot be loaded; the log says why.")


ADVICE: Final[dict[FailureCode, str]] = {
    "bad_request": "A request made no sense to the model. Nothing needs to be done.",
    "context_overflow": "A conversation was longer than the model takes. Nothing needs to be done; "
    "a model with a longer context would have answered it.",
    "unsupported": "Something was asked that this model does not offer. Nothing needs to be done.",
    "overloaded": "More came than there is room for, and went to another instance. If it happens "
    "often, give fewer slots or a smaller model.",
    "engine_error": "The engine failed at a job, which went to another instance; the log says why. "
    "If it happens often, memory may be short: try fewer slots or a smaller model.",
}


def find_standing(view: Overview) -> Standing:
    """Say how the instance stands."""
    if view.engine_state is not EngineState.READY:
        return Standing[view.engine_state.name]
    if view.desk.is_draining:
        return Standing.DRAINING
    return Standing.SERVING if view.link_state is LinkState.OPEN else Standing.CONNECTING


def render_status_page(view: Overview) -> str:
    """Write the whole page."""
    words = find_standing(view).value
    name = escape(view.options.name)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(words.word)}: {name} · MotherFluxer</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/status.css">
<script src="/status.js" defer></script>
<noscript><meta http-equiv="refresh" content="10"></noscript>
</head>
<body>
<header>
<img src="/icon.svg" alt="">
<h1>{name}</h1>
<p class="standing {words.mark}" role="status" data-live="standing">{escape(words.word)}</p>
</header>
<main>
<p class="lead" data-live="meaning">{escape(words.meaning)}</p>
<p class="notice" id="lost" role="alert" hidden>The container does not answer any more; what stands
here is old.</p>
{_section("now", "Now", _figures(_now(view)), "wide")}
{_section("done", "Since the start", _figures(_done(view)), "wide")}
{_section("serves", "Serves", _facts(_served(view)))}
{_section("speaks", "Connected to", _facts(_connection(view)))}
{_section("trouble", "Last troubles", _facts(_troubles(view)), "wide")}
</main>
<footer>
<span>motherfluxer-model {escape(__version__)}</span>
<span data-live="uptime">up {escape(show_duration(view.uptime_s))}</span>
<a href="/metrics">metrics</a>
<a href="/healthz">health as JSON</a>
</footer>
</body>
</html>
"""


def show_duration(seconds: float) -> str:
    """Say how long something took or is ago, in its two largest units."""
    whole = int(seconds)
    for unit, size, small, small_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // small_size} {small}"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


Rows = list[tuple[str, str]]


def _now(view: Overview) -> Rows:
    running = len(view.desk.running)
    return [
        ("Answering", f"{running} of {view.desk.slots}"),
        ("Free slots", str(max(0, view.desk.slots - running))),
        ("Waiting for a token", str(view.desk.tally.waiting_count)),
        ("Tokens per second", f"{view.desk.tokens_per_s:g}"),
    ]


def _served(view: Overview) -> Rows:
    rows: Rows = []
    for model in view.models:
        can = ", goes on with others' answers" if model.can_continue else ""
        revision = f", revision {model.revision}" if model.revision else ""
        rows.append((model.name, f"{model.context_tokens:,} tokens of context{revision}{can}"))
    if not rows:
        rows.append((view.options.model_name or view.options.source, "not loaded"))
    rows.append(("Engine", f"{view.options.engine}, {view.engine_state}"))
    if view.models:
        rows += [(_title(key), str(value)) for key, value in view.engine.hardware.items()]
    memory = view.memory_bytes().items()
    rows += [(f"Memory ({name} process)", f"{count / 2**20:,.0f} MiB") for name, count in memory]
    if view.engine_restarts_count:
        rows.append(("Engine restarts", str(view.engine_restarts_count)))
    return rows


def _connection(view: Overview) -> Rows:
    rows = [("Router", view.options.router_url), ("Link", str(view.link_state))]
    if view.link is not None and view.link.session:
        rows.append(("Session", view.link.session))
    rows.append(("Reconnected", f"{view.reconnects_count} times"))
    rows.append(("Not yet confirmed", f"{view.desk.mail.held_chars:,} characters"))
    return rows


def _done(view: Overview) -> Rows:
    tally = view.desk.tally
    outcomes = tally.outcomes
    first_s = tally.first_token.mean()
    return [
        ("Answers", f"{outcomes['stop'] + outcomes['length']:,}"),
        ("Cancelled", f"{outcomes['cancelled']:,}"),
        ("Failed", f"{sum(outcomes[code] for code in ADVICE):,}"),
        ("Tokens said", f"{tally.output_tokens:,}"),
        ("Tokens read", f"{tally.prompt_tokens:,}"),
        ("Kept from before", f"{tally.cached_tokens:,}"),
        ("Time to first token", "no answer" if first_s is None else f"{first_s * 1000:,.0f} ms"),
    ]


def _troubles(view: Overview) -> Rows:
    rows: Rows = []
    if view.link is not None and view.link.trouble:
        ago = show_duration(view.ago_s(view.link.trouble.at_s))
        rows.append((f"Link, {ago} ago", view.link.trouble.words))
    if failed_by := view.engine.status.get("last_failure"):
        rows.append(("Engine", str(failed_by)))
    failure = view.desk.tally.last_failure
    if failure is not None:
        ago = show_duration(view.ago_s(failure.at_s))
        rows.append((f"Job, {ago} ago", f"{failure.code}: {ADVICE[failure.code]}"))
    return rows or [("None", "so far")]


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _section(key: str, title: str, body: str, extra: str = "") -> str:
    return (
        f'<section aria-labelledby="{key}-title" class="{extra}">'
        f'<h2 id="{key}-title">{title}</h2><div data-live="{key}">{body}</div></section>'
    )


def _figures(rows: Rows) -> str:
    return _list("figures", rows)


def _facts(rows: Rows) -> str:
    return _list("facts", rows)


def _list(kind: str, rows: Rows) -> str:
    items = "".join(
        f"<div><dt>{escape(term)}</dt><dd>{escape(words)}</dd></div>" for term, words in rows
    )
    return f'<dl class="{kind}">{items}</dl>'
