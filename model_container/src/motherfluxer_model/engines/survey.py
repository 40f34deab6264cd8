"""Finding out, by asking, how a server takes requests for one model, before any is served."""

import logging
from dataclasses import dataclass, replace
from typing import Final

from motherfluxer_model.core.manner import (
    OPTIONAL_FIELDS,
    USAGE_AT_THE_END,
    USAGE_EACH_TIME,
    Manner,
    Question,
    Render,
    Way,
    make_call,
)
from motherfluxer_model.core.marks import SAMPLES, MarkBreaker
from motherfluxer_model.core.said import Said
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.engines.client import Client
from motherfluxer_model.engines.listing import Facts
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Message, Sampling

logger = logging.getLogger(__name__)
GREETING: Final = "Hello."
# Long answers whose next word is never in doubt, so that rounding flips none.
QUESTIONS: Final = (
    "Count from one to thirty in words, separated by commas.",
    "Say the alphabet from A to Z, separated by commas.",
    "What are you, and what can you do?",
    "Tell me a story.",
)
MADE_UP: Final = "Beginning no. 7041:"
PROBE_TOKENS: Final = 32
LEAST_CUTS: Final = 3
REPEATS: Final = 8  # a mark obeyed is one token each time; a text of it is at least two
EVERYTHING: Final = Sampling(
    temperature=0, top_p=1, stop=["\u2404"], seed=1, frequency_penalty=0, presence_penalty=0
)


@dataclass(frozen=True, slots=True)
class Found:
    """How to ask for one model, and what to make of what users type."""

    manner: Manner
    breaker: MarkBreaker | None  # None: the server takes marks in a message as text
    is_obeying: bool | None  # whether it obeys them; None: not told
    is_thinking: bool = False  # whether it told of thoughts before its answers


class Survey:
    """Questions about one model; each raises GenerationError where the server refuses it all."""

    def __init__(self, client: Client, model_id: str, facts: Facts, render: Render | None) -> None:
        self._client = client
        self._model_id = model_id
        self._facts = facts
        self._render = render
        self._is_thinking = False

    async def run(self) -> Found:
        """Ask everything. Raises GenerationError where the model cannot be served."""
        manner = await self._find_fields(await self._find_limit())
        manner = await self._find_way(manner)
        if manner.way in (Way.FINAL_MESSAGE, Way.LAST_MESSAGE):
            manner = replace(manner, is_trimming=await self._is_trimming(manner))
        is_obeying, marks = await self._find_obeyed(manner)
        breaker = None if is_obeying is False else MarkBreaker([*self._facts.marks, *marks])
        return Found(manner, breaker, is_obeying, self._is_thinking)

    async def _find_limit(self) -> Manner:
        """Find the field that limits an answer: newer servers know no `max_tokens`."""
        bare = Manner(self._model_id, fields=frozenset())
        try:
            await self._ask(bare, _question(GREETING, 1))
        except GenerationError as error:
            if error.code != "bad_request":
                raise
            newer = replace(bare, limit_field="max_completion_tokens")
            await self._ask(newer, _question(GREETING, 1))
            return newer
        return bare

    async def _find_fields(self, bare: Manner) -> Manner:
        """Find the fields that the server takes: all together, else one by one."""
        everything = Question(_say(GREETING), 1, sampling=EVERYTHING)
        for options in (USAGE_EACH_TIME, USAGE_AT_THE_END):
            whole = replace(bare, fields=frozenset(OPTIONAL_FIELDS), stream_options=options)
            if await self._is_taken(whole, everything):
                return whole
        taken = bare
        for name in OPTIONAL_FIELDS:
            one = replace(bare, fields=frozenset({name}), stream_options=USAGE_AT_THE_END)
            if await self._is_taken(one, everything):
                taken = replace(one, fields=taken.fields | {name})
            else:
                logger.warning("%s: the server refuses %s: it is left out", self._model_id, name)
        return taken

    async def _find_way(self, manner: Manner) -> Manner:
        """Find how the server goes on with a partial answer, if it does so exactly."""
        if "temperature" not in manner.fields:
            return manner  # without the likeliest token each time there is nothing to compare
        for words in QUESTIONS:
            whole = _question(words, PROBE_TOKENS)
            text, cuts, is_whole = await self._answer_in_pieces(manner, whole)
            if len(cuts) < LEAST_CUTS:
                continue
            for way in Way:
                if way is Way.TEMPLATE and self._render is None:
                    continue
                tried = await self._try_way(replace(manner, way=way), whole, text, cuts, is_whole)
                if tried is not None:
                    return tried
            break
        return manner

    async def _answer_in_pieces(
        self, manner: Manner, whole: Question
    ) -> tuple[str, list[int], bool]:
        """Ask undisturbed; give the text, places to cut it, and whether it ended by itself."""
        said = Said(StopFinder([], ""), whole.most_tokens)
        ends = [0]
        text = ""
        async for piece in self._client.say(make_call(manner, whole), said):
            text += piece.text
            ends.append(len(text))
        self._is_thinking |= said.is_thinking
        # A place tells nothing where beginning anew would look like going on.
        telling = [at for at in ends[1:-1] if not text.startswith(text[at:])]
        places = {telling[len(telling) * part // 4] for part in (1, 2, 3)} if telling else set()
        blanks = [at for at in telling if text[at - 1].isspace()]
        return text, sorted(places | set(blanks[:1])), said.reason == "stop"

    async def _try_way(
        self, manner: Manner, whole: Question, text: str, cuts: list[int], is_whole: bool
    ) -> Manner | None:
        """Continue at each place; give the manner if the text was the undisturbed one each time."""
        try:
            # Nobody begins like this by himself, so it tells an echo from an answer begun anew.
            got, _ = await self._ask(manner, replace(whole, prefix=MADE_UP, most_tokens=2))
            manner = replace(manner, is_echoing=got.startswith(MADE_UP))
            for at in cuts:
                prefix, rest = text[:at], text[at:]
                got, said = await self._ask(manner, replace(whole, prefix=prefix))
                if manner.is_echoing:
                    got = got.removeprefix(prefix)
                has_ended = is_whole and said.reason == "stop"
                if not (got == rest if has_ended else got.startswith(rest)):
                    return None
        except GenerationError as error:
            _raise_if_busy(error)
            return None
        return manner

    async def _is_trimming(self, manner: Manner) -> bool:
        """Find out whether blanks at the end of a partial answer get lost."""
        counts = [
            (await self._ask(manner, replace(_question(GREETING, 1), prefix=prefix)))[1].told
            for prefix in ("Hello", "Hello\n\n")
        ]
        return counts[0].prompt_tokens is not None and (
            counts[0].prompt_tokens == counts[1].prompt_tokens
        )

    async def _find_obeyed(self, manner: Manner) -> tuple[bool | None, list[str]]:
        """Find out whether special tokens in a message are obeyed; None: the server tells not."""
        nothing = await self._count(manner, "")
        if nothing is None:
            return None, list(SAMPLES)
        learned = list(self._facts.marks[:REPEATS])
        obeyed = []
        for mark in dict.fromkeys([*learned, *SAMPLES]):
            count = await self._count(manner, mark * REPEATS)
            if count is not None and count - nothing < 2 * REPEATS:
                obeyed.append(mark)
                if mark in learned:
                    break  # the model's own marks are known
        return (True if obeyed else False if learned else None), obeyed

    async def _count(self, manner: Manner, text: str) -> int | None:
        try:
            _, said = await self._ask(manner, _question(f"a{text}b", 1))
        except GenerationError as error:
            _raise_if_busy(error)
            return None
        return said.told.prompt_tokens

    async def _is_taken(self, manner: Manner, question: Question) -> bool:
        try:
            await self._ask(manner, question)
        except GenerationError as error:
            _raise_if_busy(error)
            return False
        return True

    async def _ask(self, manner: Manner, question: Question) -> tuple[str, Said]:
        render = self._render if question.prefix else None
        call = make_call(manner, question, render)
        text, said = await self._client.collect(call, question.most_tokens)
        self._is_thinking |= said.is_thinking
        return text, said


def _raise_if_busy(error: GenerationError) -> None:
    """Let go on what the server refuses or breaks on; what it has no time for is asked later."""
    if error.code == "overloaded":
        raise error


def _say(words: str) -> tuple[Message, ...]:
    return (Message(role="user", content=words),)


def _question(words: str, most_tokens: int) -> Question:
    return Question(_say(words), most_tokens, sampling=Sampling(temperature=0))
