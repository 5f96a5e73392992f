"""A part is asked without waiting for it longer than one wants."""

import asyncio
import threading

from simorgh_shared.probing import Probe


class TestAsk:
    def test_a_part_that_hangs_is_asked_once(self) -> None:
        """R-OPS-4: it costs one thread however often its state is wanted, and is asked anew when it has answered."""
        calls: list[threading.Thread] = []
        released = threading.Event()

        def check() -> str:
            calls.append(threading.current_thread())
            released.wait(30)
            return "ok"

        async def work() -> None:
            probe = Probe(check)
            assert await asyncio.gather(*(probe.ask(0.05) for _ in range(5))) == ["no answer in time"] * 5
            assert await probe.ask(0.05) == "no answer in time"
            assert len(calls) == 1
            assert calls[0].daemon, "it keeps no process from ending"
            released.set()
            assert [await probe.ask(10), await probe.ask(10)] == ["ok", "ok"]
            assert len(calls) > 1

        asyncio.run(work())

    def test_a_check_that_breaks_is_told(self) -> None:
        def check() -> str:
            raise LookupError("what is inside is not told")

        assert asyncio.run(Probe(check).ask(10)) == "failed with LookupError"
