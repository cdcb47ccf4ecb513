"""The engine: dispatcher, attempts, recorder and upkeep of one node, started and stopped together."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from packhook.core.clock import SECOND, Clock
from packhook.core.endpoint_verification import Consent
from packhook.core.errors import Unavailable
from packhook.core.model import Attempt, AttemptResult, Event, LeasedDelivery, Urgency, Verdict, WebhookState
from packhook.delivery.attempt import attempt
from packhook.delivery.handshake import handshake
from packhook.delivery.lane import Lane
from packhook.delivery.maintenance import Upkeep
from packhook.delivery.recorder import Recorder
from packhook.delivery.scheduler import Scheduler
from packhook.delivery.send import Sending, Wire
from packhook.delivery.target import PreparedWebhook, prepare
from packhook.delivery.together import together
from packhook.delivery.webhook_loader import Lookup
from packhook.settings import Settings
from packhook.store.base import Store
from packhook.store.callbacks import ended

_log: Final = structlog.get_logger("packhook.engine")


class Engine:
    """Sends what is due. Made inside the running event loop, over a store and a sender that are open."""

    def __init__(self, store: Store, wire: Wire, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._wire = wire
        self._settings = settings
        self._clock = clock
        self._lookup = Lookup(store.webhook_states)
        self._scheduler = Scheduler(store, settings, clock, self._attempt, self._load)
        self._recorder = Recorder(store, self._recorded, self._scheduler.crowd)
        self._upkeep = Upkeep(store, settings, clock)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Send until :meth:`stop`; returns when everything under way is settled or given back."""
        self._store.attach(self._scheduler)
        await together(
            self._stop_in_turn(),
            dispatch=self._scheduler.run(),
            record=self._recorder.run(),
            upkeep=self._upkeep.run(),
        )

    async def _stop_in_turn(self) -> None:
        await self._stop.wait()
        self._upkeep.stop()
        await self._scheduler.stop(self._settings.shutdown_grace / SECOND)
        self._recorder.finish()

    def stop(self) -> None:
        """Begin to stop: claim no more, finish what is claimed within the grace, then cut off."""
        self._stop.set()

    def moving(self) -> bool:
        """Whether deliveries are being claimed and sent."""
        return self._scheduler.moving()

    async def try_out(self, target: WebhookState, event: Event) -> tuple[Attempt, Verdict]:
        """Send this event once, now, signed; nothing is stored and no schedule begins."""
        prepared = prepare(target, self._settings)
        delivery = LeasedDelivery(
            id="",
            event_id=event.id,
            webhook_id=prepared.webhook.id,
            webhook_version=prepared.webhook.version,
            organization_id=event.organization_id,
            event_code=event.event_code,
            event_created_at=event.created_at,
            data=event.data,
            attempt_count=0,
            attempts_before=0,
            urgency=Urgency.FIRST,
            lease=0,
            lease_until=0,
        )
        result: AttemptResult = await ended(
            lambda told: attempt(delivery, prepared, target.gone_since, self._wire, self._clock, told)
        )
        return result.attempt, result.verdict

    async def ask_consent(self, target: WebhookState) -> tuple[Attempt, Consent]:
        """Ask the endpoint once, now, whether it wants to be sent to; nothing is stored."""
        return await handshake(prepare(target, self._settings), self._settings.origin, self._wire, self._clock)

    def _attempt(self, delivery: LeasedDelivery, lane: Lane, target: PreparedWebhook) -> Sending:
        """Begin one attempt of a delivery."""
        return attempt(
            delivery, target, lane.gone_since, self._wire, self._clock, partial(self._attempted, delivery, lane)
        )

    def _attempted(self, delivery: LeasedDelivery, lane: Lane, came: AttemptResult | Exception) -> None:
        """From the wire to the recorder; an exception in it ends here."""
        try:
            if isinstance(came, AttemptResult):
                self._settled(lane, came)
            else:
                self._broke(delivery, lane, came)
        except Exception:  # noqa: BLE001 one attempt's fault is not the node's
            _log.exception("attempt_crashed", delivery_id=delivery.id)
            self._scheduler.stumble(lane)
        finally:
            self._scheduler.finished(lane, delivery)

    def _settled(self, lane: Lane, result: AttemptResult) -> None:
        if result.verdict.not_counted:
            self._scheduler.release(result.delivery)
            self._scheduler.stumble(lane)
            return
        self._recorder.add(result)
        lane.gone_since = result.verdict.gone_since
        self._scheduler.learn(lane, result.verdict, result.attempt.started_at)

    def _broke(self, delivery: LeasedDelivery, lane: Lane, error: Exception) -> None:
        _log.error("attempt_crashed", delivery_id=delivery.id, exc_info=error)
        self._scheduler.cut_off(delivery)
        self._scheduler.stumble(lane)

    async def _load(self, lane: Lane) -> bool:
        """Let the lane know its webhook as it is now; whether that may be sent to."""
        found = None
        generation = -1
        try:
            while generation != lane.generation:  # it was changed while we asked
                generation = lane.generation
                found = await self._lookup.find(lane.webhook_id)
            lane.target = None if found is None else prepare(found, self._settings)
        except Unavailable as error:
            _log.warning("webhook_not_loaded", webhook_id=lane.webhook_id, detail=error.detail)
            self._scheduler.stumble(lane)
        except Exception:  # noqa: BLE001 one webhook's fault is not the node's
            _log.exception("webhook_not_loaded", webhook_id=lane.webhook_id)
            self._scheduler.stumble(lane)
        if found is None or lane.target is None:
            return False
        lane.gone_since = found.gone_since
        lane.held_until = max(lane.held_until, found.held_until)
        if self._settings.require_endpoint_verification and found.webhook.verification_pending:
            lane.target = None  # held: not even what was leased before it became so may go
            return False
        return found.webhook.enabled

    def _recorded(self, results: Sequence[AttemptResult]) -> None:
        """Retries are in the database now: come for them when they are due."""
        for result in results:
            due_at = result.verdict.next_attempt_at
            if due_at is not None:
                self._scheduler.notify_due((result.delivery.webhook_id,), due_at)
