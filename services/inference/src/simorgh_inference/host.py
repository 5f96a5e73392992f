"""Keeps the engine children: one for each loaded model. A dead child costs only the requests that it had begun."""

import asyncio
import contextlib
import functools
import weakref
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_inference import metrics, residency, sharing
from simorgh_inference.admission import Admission
from simorgh_inference.child import EngineChild, EngineLostError, RequestExpiredError
from simorgh_inference.conversions import Conversions, Engine
from simorgh_inference.launching import ENGINE_COMMAND, Launcher, UnfitError
from simorgh_inference.registry import ModelSource
from simorgh_inference.settings import ServerSettings
from simorgh_shared.domain.errors import AppError, InvalidInputError, NotFoundError, UnavailableError
from simorgh_shared.engine_folder import EngineFolder
from simorgh_shared.spawning import Spawner

log = structlog.get_logger()
_MAX_REASONS = 256
_LOOK_AGAIN_S = 0.1  # for a model in use that has become idle
EMBEDS = "#embeddings"
"""Ends the name of the child that makes a model's vectors."""
_EMBEDDING = Engine("transformers", "it makes the embeddings", ("--task", "embed"))


class EngineHost:
    """The loaded models."""

    def __init__(
        self, source: ModelSource, settings: ServerSettings, engine_command: Sequence[str] = ENGINE_COMMAND
    ) -> None:
        self.source = source
        self._admission = Admission(settings.max_waiting, settings.first_token_s)
        self._room_timeout_s = settings.room_timeout_s
        self._children: dict[str, EngineChild] = {}
        """By model; several share one where their base is the same."""
        self._bases: dict[str, EngineChild] = {}
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        """Of bases that are being loaded."""
        self._adapters: dict[str, Path] = {}
        """Folders of the models that are adapters on a shared base."""
        self._is_transformers = settings.engine == "transformers"
        self._loads: dict[str, asyncio.Task[EngineChild]] = {}
        """Models that are being loaded: by nobody's request, so that no client who leaves undoes it for the others."""
        self._reasons: dict[str, str] = {}
        """Why a model cannot be served, of the last ones that somebody asked for."""
        self._folder = EngineFolder()
        self._room = residency.Room(settings.models_memory_bytes)
        spawner = Spawner()
        self._request_timeout_s = settings.request_timeout_s
        self._launcher = Launcher(settings, spawner, self._folder.path, engine_command)
        self._conversions = Conversions(settings, spawner, self._folder.path)
        self._retired: set[EngineChild] = set()
        """Children that another one has taken over from, with the requests that they still hold."""

    def loaded(self) -> dict[str, EngineChild]:
        """The live children by model."""
        return {model: child for model, child in self._children.items() if not child.is_lost}

    async def generate(
        self, model: str, request: dict[str, Any], *, embeds: bool = False
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of an answer by the model's child, or by that for its embeddings. Who leaves early cancels it.

        A request whose child is lost before it was taken goes to a new child, once: should it be the request that
        ends engines, it ends no more than two.

        Raises: EngineLostError, LimitedError when the model has as many requests as it takes, RequestExpiredError, and
        what `child` raises.
        """
        if model.endswith(EMBEDS):
            raise NotFoundError("model_not_found", model=model)
        model = self._key(model + EMBEDS if embeds else model)
        expires_at = asyncio.get_running_loop().time() + self._request_timeout_s
        with self._admission.request(model) as ticket:
            for is_last in (False, True):
                try:
                    async with asyncio.timeout_at(expires_at):
                        child = await self.child(model)
                    ticket.begin()
                    asked = request | self._adapter(model)
                    async with contextlib.aclosing(child.generate(asked, expires_at)) as pieces:
                        async for piece in pieces:
                            ticket.first_token()
                            yield piece
                    return
                except TimeoutError as error:
                    raise RequestExpiredError(self._request_timeout_s) from error
                except EngineLostError as error:
                    if error.was_taken or is_last:
                        raise
                    log.warning("request_goes_to_a_new_engine", model=model)

    async def child(self, model: str) -> EngineChild:
        """The child of a model, started when there is none. Requests that come at once share one start.

        Raises: NotFoundError, UnavailableError when it does not start or those in use leave no memory,
        InvalidInputError for a model that no engine here can serve.
        """
        model = self._key(model)
        if model in self._reasons:
            raise _unservable(model, self._reasons[model])
        child = self._children.get(model)
        if child is not None and not child.is_lost:
            return child
        if model not in self._loads:
            load = self._loads[model] = asyncio.create_task(self._load(model))
            load.add_done_callback(functools.partial(self._loaded, model))
        return await asyncio.shield(self._loads[model])

    async def ready_to_follow(self, model: str, former: str) -> bool:
        """Load a model that is about to get another one's requests; False where the other is not loaded either, or
        both have no room beside each other.

        Raises: what `child` raises.
        """
        model, former = self.source.name(model), self.source.name(former)
        if former not in self.loaded():
            return False
        with self._admission.in_use(former):
            if model not in self.loaded():
                needed = residency.needed_bytes(await run_in_threadpool(self.source.folder, model))
                if self._leaving(model, needed) is None:
                    return False
            await self.child(model)
        return True

    def in_use(self) -> set[str]:
        """The models whose files an engine holds, or will."""
        return {name.removesuffix(EMBEDS) for name in (*self._children, *self._loads, *self._conversions.running)}

    async def close(self) -> None:
        """End all children."""
        await self._conversions.close()
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)
        for child in {*self._children.values(), *self._retired}:
            await child.close()
        self._children.clear()
        self._folder.close()

    def _key(self, model: str) -> str:
        """The one name of a model's child. A model that is asked for both answers and vectors has two."""
        name = model.removesuffix(EMBEDS)
        return self.source.name(name) + model[len(name) :]

    async def _load(self, model: str) -> EngineChild:
        lost = self._children.pop(model, None)
        if lost is not None:
            await lost.close()
        folder = await run_in_threadpool(self.source.folder, model.removesuffix(EMBEDS))
        try:
            if (seat := await self._seat(model, folder)) is not None:
                return await self._sit_down(model, seat)
            await self._make_room(model, folder)
            child = self._children[model] = await self._start(model, folder)
        finally:
            self._room.release(model)
        return child

    async def _seat(self, model: str, folder: Path) -> sharing.Seat | None:
        if model.endswith(EMBEDS):
            return None
        is_transformers = self._is_transformers
        return await run_in_threadpool(sharing.seat, self.source, model, folder, is_transformers=is_transformers)

    async def _sit_down(self, model: str, seat: sharing.Seat) -> EngineChild:
        """The child of the model's base, started when there is none."""
        async with self._locks.setdefault(seat.base, asyncio.Lock()):
            child = self._bases.get(seat.base)
            if child is None or child.is_lost:
                await self._make_room(model, seat.folder)
                child = await self._start_engine(model, seat.folder, Engine("transformers", sharing.REASON))
            self._bases[seat.base] = self._children[model] = child
        if seat.adapter is not None:
            self._adapters[model] = seat.adapter
        return child

    def _adapter(self, model: str) -> dict[str, Any]:
        """What the engine has to be told, where the model is an adapter."""
        folder = self._adapters.get(model)
        return {} if folder is None else {"adapter": {"name": model, "folder": str(folder)}}

    def _loaded(self, model: str, load: "asyncio.Task[EngineChild]") -> None:
        del self._loads[model]
        if not load.cancelled():
            load.exception()  # whoever waited has heard it, and there may be nobody left

    async def _make_room(self, model: str, folder: Path) -> None:
        """Reserve what the model will need, and let others go for it; those in use are waited for.

        Raises: UnavailableError where they leave no room in time. A model that is alone is always tried.
        """
        needed = await run_in_threadpool(residency.needed_bytes, folder)
        deadline = asyncio.get_running_loop().time() + self._room_timeout_s
        while (gone := self._leaving(model, needed)) is None:
            if asyncio.get_running_loop().time() > deadline:
                raise UnavailableError("models_memory_full", model=model, retry_after_s=5)
            await asyncio.sleep(_LOOK_AGAIN_S)
        self._room.promise(model, needed)
        leaving = {self._children[name] for name in gone}
        self._children = {name: child for name, child in self._children.items() if child not in leaving}
        self._bases = {base: child for base, child in self._bases.items() if child not in leaving}
        self._adapters = {name: folder for name, folder in self._adapters.items() if name in self._children}
        for child in leaving:
            metrics.ENGINES_UNLOADED.inc()
            log.info("engine_unloaded", pid=child.process.pid, for_model=model)
            await child.close()

    def _leaving(self, model: str, needed_bytes: int) -> list[str] | None:
        """Who has to go so that this model fits; None where those in use leave no room."""
        others = {name: child for name, child in self.loaded().items() if name != model}
        return self._room.leaving(needed_bytes, others, self._admission.held, self._retired)

    async def _start(self, model: str, folder: Path) -> EngineChild:
        """A child with the engine that fits; where it cannot load what was converted, transformers serves."""
        if model.endswith(EMBEDS):
            return await self._start_engine(model, folder, _EMBEDDING)
        kept = self.source.derived(model)
        engine = await self._conversions.engine(model, folder, kept, functools.partial(self._renew, model))
        try:
            return await self._start_engine(model, folder, engine)
        except AppError as error:
            if engine.name != "openvino":
                raise
            self._reasons.pop(model, None)
            return await self._start_engine(model, folder, self._conversions.without(model, error.message()))

    async def _start_engine(self, model: str, folder: Path, engine: Engine) -> EngineChild:
        try:
            return await self._launcher.start(model, folder, engine)
        except UnfitError as error:
            raise self._unfit(model, str(error)) from error

    def _unfit(self, model: str, reason: str) -> InvalidInputError:
        """Remember why: a version never changes, and each try costs the seconds in which torch is loaded."""
        log.warning("model_unservable", model=model, reason=reason)
        if len(self._reasons) >= _MAX_REASONS:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[model] = reason
        return _unservable(model, reason)

    async def _renew(self, model: str) -> None:
        """Let a new child take over; the old one ends with its last request, and no request waits meanwhile."""
        child = self._children.get(model)
        if child is None or child.is_lost:
            return  # the next request starts the right one
        try:
            folder = await run_in_threadpool(self.source.folder, model)
            new = await self._start(model, folder)
        except AppError as error:
            log.warning("engine_stays", model=model, code=error.code)
            return
        while model in self._loads:  # the old one was lost meanwhile
            await asyncio.wait([self._loads[model]])
        old = self._children.get(model)
        if old is None:  # it has made room for another model
            await new.close()
            return
        self._children[model] = new
        self._retired.add(old)
        log.info("engine_taken_over", model=model, pid=new.process.pid, num_active=old.num_active)
        await old.emptied()
        await old.close()
        self._retired.discard(old)


def _unservable(model: str, reason: str) -> InvalidInputError:
    code = "model_no_embeddings" if model.endswith(EMBEDS) else "model_unservable"
    return InvalidInputError(code, model=model.removesuffix(EMBEDS), reason=reason)
