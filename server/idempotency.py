"""One piece of work for requests that say they are one: an `Idempotency-Key` joins them.

A client that tries again because it lost its connection gets the reply that is already on its way, from its beginning,
instead of a second fan-out (draft-ietf-httpapi-idempotency-key-header). The work ends when all of its clients are gone.
"""

import re
from collections import OrderedDict
from hashlib import sha256

import anyio
import anyio.lowlevel
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from server.caller import Caller, caller_of, for_caller
from server.errors import ApiError, refused
from server.settings import Idempotency
from server.stream import EventStream
from strategies.tasks import Bell, unwrapped

HEADER = "idempotency-key"
KEY = re.compile(r"[\x21-\x7e]{1,255}")
MISUSED = "this Idempotency-Key came with another request before"


class Job:
    """A reply while it comes about, and for a while after that: the ASGI messages that make it.

    `taken` is how many of them the fastest client has got.
    """

    def __init__(self, digest: bytes) -> None:
        self.digest, self.clients = digest, 0
        self.messages: list[Message] = []
        self.size = self.taken = 0
        self.ended_at: float | None = None
        self.error: Exception | None = None
        self.failed = False
        self._news, self._callers = Bell(), Caller()

    @property
    def joinable(self) -> bool:
        """Whether its reply is good, or may become so."""
        return not (self.error or self.failed or self._callers.gone)

    async def run(self, reply: Response, scope: Scope, receive: Receive) -> None:
        """Do the work, until it is done or nobody waits for it."""
        try:
            await reply(for_caller(scope, self._callers), receive, self._keep)
        except Exception as error:
            self.error = error
        finally:
            self.failed = isinstance(reply, EventStream) and reply.failed
            self.ended_at = anyio.current_time()
            self._news.ring()

    async def follow(self, caller: Caller, send: Send) -> None:
        """Give one client all of the reply, as it comes. Raises what the work raised before there was anything."""
        try:
            with caller.served():
                await self._pass_on(send)
        finally:
            self.clients -= 1
            if not self.clients and self.ended_at is None:
                self._callers.leave()
            self._news.ring()

    async def _pass_on(self, send: Send) -> None:
        sent = 0
        while True:
            for message in self.messages[sent:]:
                await send(dict(message))
                sent += 1
            if sent > self.taken:
                self.taken = sent
                self._news.ring()
            if self.ended_at is not None and sent == len(self.messages):
                break
            if sent == len(self.messages):
                await self._news.wait()
        if self.error:
            raise self.error

    async def _keep(self, message: Message) -> None:
        self.messages.append(dict(message))
        self.size += len(message.get("body", b""))
        self._news.ring()
        await anyio.lowlevel.checkpoint()
        while message.get("more_body") and self.clients and self.taken < len(self.messages):
            await self._news.wait()  # the fastest client sets the pace; the end of a reply is kept at once


class Jobs:
    """The work that can be joined: what runs, and what ended lately."""

    def __init__(self, limits: Idempotency) -> None:
        self.limits = limits
        self._jobs: OrderedDict[bytes, Job] = OrderedDict()

    def joined(self, request: Request, wanted: BaseModel, reply: Response) -> Response:
        """The reply itself where the request has no key, else one that is made once. Raises ApiError 400 or 422."""
        given = request.headers.get(HEADER)
        if given is None or not self.limits.seconds:
            return reply
        if not KEY.fullmatch(given):
            raise refused("Idempotency-Key: 1 to 255 visible characters of ASCII", HEADER)
        who = request.headers.get("authorization", "")
        key = sha256(f"{who}\n{request.url.path}\n{given}".encode()).digest()
        digest = sha256(wanted.model_dump_json(exclude_unset=True).encode()).digest()
        self._forget()
        job, begins = self._jobs.get(key), False
        if job is not None and job.digest != digest:
            raise ApiError(422, MISUSED, param=HEADER, code="idempotency_key_reused")
        if job is None or not job.joinable:
            job = self._jobs[key] = Job(digest)
            begins = True
        job.clients += 1
        return Joined(job, reply if begins else None)

    def _forget(self) -> None:
        """Drop what failed, what ended too long ago, and the oldest until the rest takes no more room than it may."""
        oldest = anyio.current_time() - self.limits.seconds
        for key, job in list(self._jobs.items()):
            if job.ended_at is not None and (not job.joinable or job.ended_at < oldest):
                del self._jobs[key]
        ended = [(key, job.size) for key, job in self._jobs.items() if job.ended_at is not None]
        over = sum(size for _, size in ended) - self.limits.bytes
        for key, size in ended:
            if over <= 0:
                return
            del self._jobs[key]
            over -= size


class Joined(Response):
    """A reply that several requests share; the one that has `reply` also does the work."""

    def __init__(self, job: Job, reply: Response | None) -> None:
        self.status_code, self.background = 200, None
        self.raw_headers = []
        self.job, self.reply = job, reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with unwrapped():
            async with anyio.create_task_group() as tasks:
                if self.reply:
                    tasks.start_soon(self.job.run, self.reply, scope, receive)
                await self.job.follow(caller_of(scope), send)
