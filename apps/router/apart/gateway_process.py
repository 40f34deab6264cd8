"""A web process beside others: its gateway, its post, and the journals of the jobs at home here."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final

from django.conf import settings
from redis.exceptions import RedisError

from apps.router import ports
from apps.router.apart.connection import Pause, cancelled, redis_connect
from apps.router.apart.followers import Followers
from apps.router.apart.journal import Journal
from apps.router.apart.post import Post
from apps.router.apart.views import LinkDetails, ViewReader
from apps.router.core import events, letters
from apps.router.core.effects import Effect, WelcomeInstance
from apps.router.core.letters import Between, Letter
from apps.router.core.settings import CoreSettings
from apps.router.errors import ErrorCode, JobError, JobMovedError, JobRefusedError
from apps.router.live.gateway import Gateway
from apps.router.live.gateway_process import GatewayProcess
from apps.router.live.links import InstanceLink
from apps.router.live.repeating import repeat
from apps.router.live.streams import JobStream
from apps.router.router_view import RouterView
from motherfluxer_wire.frames import Hello

log = logging.getLogger(__name__)

TICK_S: Final = 0.25
VIEW_FRESH_S: Final = 5.0
# What is told of a job waits so long for the job's stream to be read.
ADOPTED_WITHIN_S: Final = 60.0
POST_EMPTIED_WITHIN_S: Final = 5.0
_LETTERS_VERSION: Final = "1"
_MADE_UP_FOR: Final = (events.HeartbeatReceived, events.InstanceHeard, events.JobProgressed)


class RouterApart:
    """The bus to a router in another process."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def publish(self, event: events.Event | Letter) -> None:
        """Hand an event to the router; one that the next makes up for may be left out."""
        if not (isinstance(event, _MADE_UP_FOR) and self._post.is_full):
            self._post.tell_router(event)


class ApartGateway(GatewayProcess):
    """One of several web processes. It stops without taking an answer with it."""

    def __init__(self, *, redis_url: str, own_id: str) -> None:
        self.redis = redis_connect(redis_url)
        self.post = Post(redis_url=redis_url, gateway_id=own_id)
        self.journal = Journal(redis=self.redis, wake=self.post.wake, on_taken=self._lost_home)
        self.followers = Followers(redis=self.redis, gateway_id=own_id)
        self.router = RouterApart(self.post)
        gateway = Gateway(
            bus=self.router,
            clock=time.time,  # streams go from one machine to another
            settings=CoreSettings(),
            own_id=own_id,
            courier=self.post.tell_gateway,
            keeper=self.journal,
            conversation_key=_conversation_key(),
        )
        super().__init__(gateway)
        self.viewer = ViewReader(redis_url=redis_url)
        self.details = LinkDetails(own_id)
        self.post.add_writer(self.journal)
        self.post.add_writer(self.details)
        self.post.inbox.receive_effects = self._effects_came
        self.post.inbox.receive_between = self._between_came
        # What came for jobs whose streams are being read.
        self._held: dict[str, list[Effect]] = {}
        self._adoptions: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to be a gateway."""
        self._say_came(is_anew=False)
        await self.post.start()
        await super().start()
        log.info("gateway came", extra={"gateway": self.gateway.own_id})

    async def stop(self) -> None:
        """Leave the others; what is still here is taken from here."""
        await super().stop()
        await cancelled(self._adoptions)
        self.router.publish(letters.GatewayLeft())
        await self.post.stop(within_s=POST_EMPTIED_WITHIN_S)
        await self.followers.stop()
        await self.redis.aclose()  # type: ignore[attr-defined] # the stubs are older
        log.info("gateway left", extra={"gateway": self.gateway.own_id})

    async def drain(self, timeout_s: float) -> None:
        """Send instances and readers elsewhere, and jobs with them; wait for the others' ends."""
        self.gateway.is_draining = True
        self.router.publish(letters.GatewayLeaving())
        log.info("gateway leaving", extra={"gateway": self.gateway.own_id})
        if self.viewer.gateways - {self.gateway.own_id}:
            self._send_away()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for stream in list(self.gateway.streams.values()):
                    with contextlib.suppress(JobMovedError):
                        await stream.wait_ended()

    def _send_away(self) -> None:
        self.close_links()
        for stream in list(self.gateway.streams.values()):
            if stream.request.can_move and stream.ended is None:
                self._hand_over(stream)
        self.followers.send_away()

    async def follow(self, job_id: str) -> JobStream | None:
        """Return a job's stream to read, wherever its home is; None when nobody has it any more.

        Raises JobRefusedError when that can't be told now.
        """
        stream = self.gateway.streams.get(job_id)
        if stream is not None and not stream.is_moved:
            return stream
        try:
            return await self.followers.follow(job_id)
        except RedisError as error:
            words = "The answer can't be reached just now. Try again in a moment."
            away = JobError(ErrorCode.ROUTER_AWAY, words, retry_after_s=5)
            raise JobRefusedError(away) from error

    def works(self) -> list[Coroutine[Any, Any, None]]:
        """List what goes on until the stop."""
        return [
            *super().works(),
            repeat(self._tick, TICK_S, "a tick failed"),
            self.viewer.run(),
        ]

    def view(self) -> RouterView:
        """Return what the router saw a moment ago."""
        return self.viewer.view

    def trouble(self) -> str | None:
        """Return in words why this process should get no requests now; None: it should."""
        if trouble := super().trouble():
            return trouble
        if not self.post.is_connected:
            return "Redis does not answer"
        age_s = self.viewer.age_s
        return "no router acts" if age_s is None or age_s > VIEW_FRESH_S else None

    def join(self, link: InstanceLink, hello: Hello) -> None:
        """Take an instance in and have it recorded. Raises WireError."""
        super().join(link, hello)
        self.details.put(link.session, self.detail(link))

    def leave(self, link: InstanceLink) -> None:
        """Forget a link that has ended and have it recorded."""
        super().leave(link)
        self.details.remove(link.session)

    async def _tick(self) -> None:
        self.gateway.tick()

    def _hand_over(self, stream: JobStream) -> None:
        job = letters.JobHandedOver(stream.job_id)
        self.gateway.homes.hand_over(stream, lambda: self.router.publish(job))

    # -- what comes ----------------------------------------------------------------------------

    def _between_came(self, source: str, told: list[Between]) -> None:
        receive = self.gateway.received  # singledispatchmethod makes it anew at each access
        for letter in told:
            try:
                receive(letter, source)
            except Exception:  # the rim: one job's trouble must not stop the others
                log.exception("a gateway's letter could not be acted on")

    def _effects_came(self, effects: list[Effect]) -> None:
        for effect in effects:
            try:
                self._effect_came(effect)
            except Exception:  # the rim: one job's trouble must not stop the others
                log.exception("an effect could not be done")

    def _effect_came(self, effect: Effect) -> None:
        if (held := self._held.get(getattr(effect, "job_id", ""))) is not None:
            held.append(effect)
        elif isinstance(effect, letters.AdoptJob):
            self._adopt_soon(effect)
        elif isinstance(effect, letters.GatewayGone):
            self._gateway_gone(effect.gateway)
        elif isinstance(effect, letters.TellAnew):
            self._tell_anew()
        else:
            if isinstance(effect, WelcomeInstance):
                self.viewer.look()
            self.gateway.perform(effect)

    def _gateway_gone(self, gateway_id: str) -> None:
        self.post.forget(gateway_id)
        if gateway_id == self.gateway.own_id:
            # It was stopped for so long that the others went on without it.
            log.warning("taken for dead: all begins anew", extra={"gateway": gateway_id})
            self.close_links()
            for stream in list(self.gateway.streams.values()):
                if stream.ended is None:
                    self.journal.close(stream)
                    stream.move_away()

    def _tell_anew(self) -> None:
        """Tell a router that has lost its memory of all jobs; instances come anew by themselves."""
        log.warning("the router knows nothing", extra={"gateway": self.gateway.own_id})
        self._say_came(is_anew=True)
        self.close_links()
        for stream in list(self.gateway.streams.values()):
            self.gateway.tell_anew(stream)

    def _say_came(self, *, is_anew: bool) -> None:
        self.router.publish(letters.GatewayCame(_LETTERS_VERSION, is_anew))
        if self.gateway.is_draining:
            self.router.publish(letters.GatewayLeaving())

    def _lost_home(self, stream: JobStream) -> None:
        """Note that another gateway has become a job's home."""
        log.warning("another gateway has the job", extra={"job": stream.job_id})

    # -- adoption ------------------------------------------------------------------------------

    def _adopt_soon(self, effect: letters.AdoptJob) -> None:
        self._held[effect.job_id] = []
        adoption = asyncio.create_task(self._adopt(effect))
        self._adoptions.add(adoption)
        adoption.add_done_callback(self._adoptions.discard)

    async def _adopt(self, effect: letters.AdoptJob) -> None:
        stream = None
        try:
            stream = await self._read_journal(effect.job_id)
            if stream is not None:
                self.gateway.homes.adopt(stream, effect)
        except Exception:  # the rim of the task: one job's trouble must not stop the others
            log.exception("a job could not be adopted", extra={"job": effect.job_id})
        if stream is None:
            log.error("job lost with its journal", extra={"job": effect.job_id})
            self.router.publish(events.JobCancelled(effect.job_id, "its text is lost"))
        self._effects_came(self._held.pop(effect.job_id, []))
        if stream is not None:
            await self._find_keeper(stream)

    async def _find_keeper(self, stream: JobStream) -> None:
        """Have somebody keep an adopted answer; one that nobody wants is stopped."""
        try:
            for keeper in ports.answer_keepers.all().values():
                if await keeper.adopt(stream):
                    break
            else:
                self.gateway.cancel(stream.job_id, "nobody reads the answer")
        except Exception:  # the rim of the task
            log.exception("an adopted answer is not kept", extra={"job": stream.job_id})
            self.gateway.cancel(stream.job_id, "its answer can't be kept")
        if self.gateway.is_draining and stream.request.can_move:
            self._hand_over(stream)

    async def _read_journal(self, job_id: str) -> JobStream | None:
        """Read a stream and be the one who writes it from now on."""
        pause = Pause()
        deadline = time.monotonic() + ADOPTED_WITHIN_S
        while time.monotonic() < deadline:
            try:
                return await self.journal.adopt(job_id)
            except RedisError:
                await asyncio.sleep(pause.next_s())
        return None


def _conversation_key() -> bytes:
    """Return a key that all web processes have and nobody else."""
    return hashlib.blake2b(settings.SECRET_KEY.encode(), person=b"conversations").digest()[:32]
