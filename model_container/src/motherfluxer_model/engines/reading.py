"""From a job to the answer that is to be made: rendered, bounded, with sampler and stops."""

import contextlib

from motherfluxer_model.core.conversation import shortened
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.core.text import AnswerText
from motherfluxer_model.engines.detokenise import make_decoder
from motherfluxer_model.engines.loading import LoadedModel
from motherfluxer_model.engines.rendering import Prompt, Renderer
from motherfluxer_model.engines.sampling import Sampler
from motherfluxer_model.engines.sequence import Deliver, Sequence, Ticket
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Job, Message, Model


class JobReader:
    """Reads jobs for one model; not for use by two threads at once."""

    def __init__(self, loaded: LoadedModel, model: Model) -> None:
        self.renderer = Renderer(loaded.tokenizer)
        self._loaded = loaded
        self._model = model
        with contextlib.suppress(GenerationError):  # compiles the template
            self.renderer.render([Message(role="user", content="hello")])

    def read(self, job: Job, ticket: Ticket, deliver: Deliver) -> Sequence:
        """Give the answer that is to be made. Raises GenerationError."""
        model = self._model
        if job.model != model.name or job.revision not in (None, "", model.revision):
            raise GenerationError("unsupported", f"only {model.name} {model.revision} is here")
        prefix_ids = self._prefix_ids(job)
        prompt, dropped = self._render(job, len(prefix_ids))
        room = _room(model, len(prompt.ids), len(prefix_ids), job.sampling.max_tokens)
        stops = StopFinder([*(job.sampling.stop or ()), *prompt.stops], job.prefix)
        return Sequence(
            ticket=ticket,
            prompt_tokens=len(prompt.ids),
            dropped_messages=dropped,
            todo=prompt.ids + prefix_ids,
            room=room,
            end_ids=self._loaded.end_ids,
            sampler=Sampler(job.sampling, prefix_ids),
            text=AnswerText(make_decoder(self._loaded.tokenizer, prefix_ids), stops),
            deliver=deliver,
        )

    def _render(self, job: Job, prefix_tokens: int) -> tuple[Prompt, int]:
        """Render what fits: all of it, or what is left without the oldest messages, where allowed.

        At least a quarter of the context stays for the answer, if that much is wanted.
        """
        if job.overflow == "refuse":
            return self.renderer.render(job.messages), 0
        wanted = job.sampling.max_tokens or self._model.max_output_tokens
        for_answer = max(prefix_tokens + 1, min(wanted, self._model.context_tokens // 4))
        for messages in shortened(job.messages):
            prompt = self.renderer.render(messages)
            if len(prompt.ids) + for_answer <= self._model.context_tokens:
                break
        return prompt, len(job.messages) - len(messages)

    def _prefix_ids(self, job: Job) -> list[int]:
        ids = job.prefix_token_ids
        if ids and max(ids) < self._loaded.vocabulary_count:
            return list(ids)
        return self.renderer.encode_answer(job.prefix) if job.prefix else []


def _room(model: Model, prompt_tokens: int, prefix_tokens: int, wanted: int | None) -> int:
    """Say how many tokens may still come: the answer's whole length less its prefix."""
    if prompt_tokens >= model.context_tokens:
        words = f"{prompt_tokens} tokens, but the model takes {model.context_tokens} in all"
        raise GenerationError("context_overflow", f"the conversation has {words}")
    if prompt_tokens + prefix_tokens > model.context_tokens:
        words = f"more than the model's {model.context_tokens} tokens"
        raise GenerationError("context_overflow", f"conversation and answer so far have {words}")
    whole = min(wanted or model.max_output_tokens, model.context_tokens - prompt_tokens)
    return min(whole, model.max_output_tokens) - prefix_tokens
